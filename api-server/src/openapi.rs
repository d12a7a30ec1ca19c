//! OpenAPI documents, versions 2 and 3: static, from one schema. `kubectl explain vaultsecret`
//! reads them.

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use crate::api::{GROUP, GROUP_VERSION, KIND, LIST_KIND, RESOURCE, VERSION};
use crate::api_error::ApiError;
use crate::discovery::json_document;
use crate::respond::{StaticDocument, hash};

/// Names of the schemas, in the style of Kubernetes' own OpenAPI documents.
const OBJECT: &str = "io.k8s.secrets.custom.v1alpha1.VaultSecret";
const LIST: &str = "io.k8s.secrets.custom.v1alpha1.VaultSecretList";

/// The OpenAPI documents, made once.
pub(crate) struct OpenApiDocuments {
    v2: StaticDocument,
    v3_index: StaticDocument,
    v3: StaticDocument,
}

impl OpenApiDocuments {
    pub(crate) fn new() -> Self {
        let v3 = v3().to_string();
        let url = format!("/openapi/v3/apis/{GROUP_VERSION}?hash={}", hash(&v3));
        let index = json!({"paths": {(format!("apis/{GROUP_VERSION}")): {"serverRelativeURL": url}}});
        Self {
            v2: StaticDocument::new("application/json", v2().to_string()),
            v3_index: StaticDocument::new("application/json", index.to_string()),
            v3: StaticDocument::new("application/json", v3),
        }
    }

    /// Answers `/openapi/v2`.
    pub(crate) fn v2(&self, headers: &HeaderMap) -> Result<Response<Bytes>, ApiError> {
        json_document(&self.v2, headers)
    }

    /// Answers `/openapi/v3`.
    pub(crate) fn v3_index(&self, headers: &HeaderMap) -> Result<Response<Bytes>, ApiError> {
        json_document(&self.v3_index, headers)
    }

    /// Answers `/openapi/v3/apis/G/V`, whatever hash the URL has: a redirect to the right hash
    /// would become a 502.
    pub(crate) fn v3(&self, headers: &HeaderMap) -> Result<Response<Bytes>, ApiError> {
        json_document(&self.v3, headers)
    }
}

fn v2() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
    let answers = |name: &str| json!({"200": {"description": "OK", "schema": reference(name)}});
    let parameter = |name: &str, text: &str| {
        json!({"name": name, "in": "path", "required": true, "type": "string", "uniqueItems": true,
               "description": text})
    };
    json!({
        "swagger": "2.0",
        "info": {"title": "Coffer", "version": VERSION},
        "paths": paths(&answers, &parameter, &json!(["application/json"])),
        "definitions": schemas(&reference),
    })
}

fn v3() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let answers = |name: &str| json!({"200": {"description": "OK", "content": {"application/json": {"schema": reference(name)}}}});
    let parameter = |name: &str, text: &str| {
        json!({"name": name, "in": "path", "required": true, "description": text,
               "schema": {"type": "string", "uniqueItems": true}})
    };
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Coffer", "version": VERSION},
        "paths": paths(&answers, &parameter, &Value::Null),
        "components": {"schemas": schemas(&reference)},
    })
}

fn paths(
    answers: &dyn Fn(&str) -> Value,
    parameter: &dyn Fn(&str, &str) -> Value,
    produces: &Value,
) -> Value {
    let operation = |id: &str, action: &str, about: &str, answer: &str| {
        let mut operation = json!({
            "operationId": id,
            "description": about,
            "tags": ["customSecrets_v1alpha1"],
            "responses": answers(answer),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": KIND},
        });
        if !produces.is_null() {
            operation["produces"] = produces.clone();
        }
        operation
    };
    let list = "list the secrets that can be read, without their values";
    let get = "read the files that a pod mounting the SecretProviderClass of this name would get";
    let namespace = parameter("namespace", "object name and auth scope, such as for teams and projects");
    let name = parameter("name", "name of the SecretProviderClass");
    let base = format!("/apis/{GROUP_VERSION}");
    json!({
        (format!("{base}/{RESOURCE}")): {
            "get": operation("listCustomSecretsV1alpha1VaultSecretForAllNamespaces", "list", list, LIST),
        },
        (format!("{base}/namespaces/{{namespace}}/{RESOURCE}")): {
            "get": operation("listCustomSecretsV1alpha1NamespacedVaultSecret", "list", list, LIST),
            "parameters": [namespace],
        },
        (format!("{base}/namespaces/{{namespace}}/{RESOURCE}/{{name}}")): {
            "get": operation("readCustomSecretsV1alpha1NamespacedVaultSecret", "get", get, OBJECT),
            "parameters": [name, namespace],
        },
    })
}

fn schemas(reference: &dyn Fn(&str) -> Value) -> Value {
    let of_kind = |kind: &str| json!([{"group": GROUP, "version": VERSION, "kind": kind}]);
    json!({
        OBJECT: {
            "description": "VaultSecret is what a pod would get that mounts the SecretProviderClass of the same \
                namespace and name: files, read from Vault at this moment. It is stored nowhere.",
            "type": "object",
            "properties": {
                "apiVersion": text("The versioned schema of this representation of an object."),
                "kind": text("The REST resource that this object represents."),
                "metadata": metadata(),
                "class": class(),
                "readAs": text("The service account of the namespace that Vault was read as. Only in the answer to \
                    get."),
                "data": {
                    "description": "The files: for each objectName of the class its contents in base64. Only in the \
                        answer to get; a list holds none.",
                    "type": "object",
                    "additionalProperties": {"type": "string", "format": "byte"},
                },
                "versions": {
                    "description": "For each file a text that changes when its contents do, and only then: the one \
                        that SecretProviderClassPodStatus shows. Only in the answer to get.",
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                },
            },
            "x-kubernetes-group-version-kind": of_kind(KIND),
        },
        LIST: {
            "description": "VaultSecretList is a list of VaultSecret, without their values. Vault is not asked for \
                it.",
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": text("The versioned schema of this representation of an object."),
                "kind": text("The REST resource that this object represents."),
                "metadata": {"description": "Standard list metadata; empty.", "type": "object"},
                "items": {
                    "description": "The secrets that can be read.",
                    "type": "array",
                    "items": reference(OBJECT),
                },
            },
            "x-kubernetes-group-version-kind": of_kind(LIST_KIND),
        },
    })
}

fn metadata() -> Value {
    json!({
        "description": "Name, namespace, labels and age are those of the SecretProviderClass.",
        "type": "object",
        "properties": {
            "name": text("Name of the SecretProviderClass."),
            "namespace": text("Its namespace."),
            "uid": text("Made from the uid of the SecretProviderClass: the same as long as that lives."),
            "creationTimestamp": {
                "description": "When the SecretProviderClass was created.",
                "type": "string",
                "format": "date-time",
            },
            "labels": {
                "description": "The labels of the SecretProviderClass.",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
        },
    })
}

fn class() -> Value {
    json!({
        "description": "What the SecretProviderClass says.",
        "type": "object",
        "properties": {
            "provider": text("Its provider: vault or openbao."),
            "role": text("The role at Vault's auth method that is logged in with."),
            "objects": {
                "description": "How many files it names.",
                "type": "integer",
                "format": "int32",
            },
            "serviceAccount": text("The service account that it is read as for users who are no service account of \
                the namespace: annotation custom.secrets.k8s.io/service-account."),
            "problem": text("Why it cannot be read, where it is wrong."),
        },
    })
}

fn text(description: &str) -> Value {
    json!({"description": description, "type": "string"})
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{OBJECT, v2, v3};

    /// Every `$ref` of a document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for document in [v2(), v3()] {
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(!found.is_empty());
            for reference in found {
                let pointer = reference.strip_prefix('#').expect("a reference within");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        }
    }

    #[test]
    fn explain_finds_the_kind_by_path_and_by_schema() {
        let path = "/apis/custom.secrets.k8s.io/v1alpha1/namespaces/{namespace}/secrets/{name}";
        for (document, schemas) in [(v2(), "/definitions"), (v3(), "/components/schemas")] {
            let get = &document["paths"][path]["get"];
            assert_eq!(get["x-kubernetes-group-version-kind"]["kind"], "VaultSecret");
            let schema = document.pointer(&format!("{schemas}/{OBJECT}")).expect("a schema");
            assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "VaultSecret");
        }
    }
}
