//! The objects that are answered: whole, as a list without values, as metadata alone.

use std::collections::BTreeMap;

use coffer_provider::{File, Secret};
use data_encoding::BASE64;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ring::digest::{SHA256, digest};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::api::{GROUP_VERSION, KIND, LIST_KIND};
use crate::class::HeldClass;

/// One object. Only that of a read holds values; the others are built without.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VaultSecret<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: ObjectMeta,
    class: ClassSummary<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Versions<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassSummary<'a> {
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Files by name, in base64.
struct Data<'a>(&'a [File]);

struct Versions<'a>(&'a [File]);

impl<'a> VaultSecret<'a> {
    /// The object without its values: what lists and tables show, and no request to Vault is needed for.
    pub(crate) fn without_values(class: &'a HeldClass) -> Self {
        let summary = class.summary.as_ref().ok();
        Self {
            api_version: GROUP_VERSION,
            kind: KIND,
            metadata: metadata(class),
            class: ClassSummary {
                provider: &class.provider,
                role: summary.map(|summary| &*summary.role),
                objects: summary.map(|summary| summary.objects.len()),
                service_account: class.service_account.as_deref(),
                problem: class.summary.as_ref().err().map(ToString::to_string),
            },
            read_as: None,
            data: None,
            versions: None,
        }
    }

    /// The object with the files that were read.
    pub(crate) fn read(class: &'a HeldClass, files: &'a [File], read_as: &'a str) -> Self {
        Self {
            read_as: Some(read_as),
            data: Some(Data(files)),
            versions: Some(Versions(files)),
            ..Self::without_values(class)
        }
    }
}

/// A list without values.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VaultSecretList<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: BTreeMap<(), ()>,
    items: Vec<VaultSecret<'a>>,
}

impl<'a> VaultSecretList<'a> {
    pub(crate) fn new(classes: impl Iterator<Item = &'a HeldClass>) -> Self {
        Self {
            api_version: GROUP_VERSION,
            kind: LIST_KIND,
            metadata: BTreeMap::new(),
            items: classes.map(VaultSecret::without_values).collect(),
        }
    }
}

/// `PartialObjectMetadata` of apimachinery.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    api_version: &'static str,
    kind: &'static str,
    metadata: ObjectMeta,
}

impl Metadata {
    pub(crate) fn new(class: &HeldClass) -> Self {
        Self { api_version: "meta.k8s.io/v1", kind: "PartialObjectMetadata", metadata: metadata(class) }
    }
}

/// A list of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetadataList {
    api_version: &'static str,
    kind: &'static str,
    metadata: BTreeMap<(), ()>,
    items: Vec<Metadata>,
}

impl MetadataList {
    pub(crate) fn new<'a>(classes: impl Iterator<Item = &'a HeldClass>) -> Self {
        Self {
            api_version: "meta.k8s.io/v1",
            kind: "PartialObjectMetadataList",
            metadata: BTreeMap::new(),
            items: classes.map(Metadata::new).collect(),
        }
    }
}

/// No annotations: kubectl keeps the whole class in one of them.
fn metadata(class: &HeldClass) -> ObjectMeta {
    ObjectMeta {
        name: Some(class.name.to_string()),
        namespace: Some(class.namespace.to_string()),
        uid: Some(uid(&class.uid)),
        creation_timestamp: class.created.clone(),
        labels: (!class.labels.is_empty()).then(|| class.labels.clone()),
        ..ObjectMeta::default()
    }
}

/// A uid of its own, the same as long as the class lives: two objects of one uid would confuse garbage collection.
fn uid(class: &str) -> String {
    let seed = format!("{GROUP_VERSION}/{KIND}/{class}");
    let digest = digest(&SHA256, seed.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    // version 8 of RFC 9562: made by a rule of one's own
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for file in self.0 {
            map.serialize_entry(&file.path, &Base64(&file.contents))?;
        }
        map.end()
    }
}

impl Serialize for Versions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|file| (&file.path, &file.version)))
    }
}

/// Written straight into the answer: no copy of the value is left behind.
struct Base64<'a>(&'a Secret);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64.encode_display(self.0.expose()))
    }
}

#[cfg(test)]
mod tests {
    use coffer_provider::{File, Secret};
    use serde_json::{Value, json};

    use super::{Metadata, MetadataList, VaultSecret, VaultSecretList, uid};
    use crate::class::HeldClass;
    use crate::class::tests::{held, object};

    fn class() -> HeldClass {
        held(&object()).expect("a class of ours")
    }

    fn json_of(value: &impl serde::Serialize) -> Value {
        serde_json::to_value(value).expect("JSON")
    }

    #[test]
    fn a_read_object_holds_files_and_versions() {
        let file = |path: &str, contents: &[u8]| File {
            path: path.to_owned(),
            mode: 0o644,
            contents: Secret::new(contents),
            version: format!("version of {path}"),
        };
        let class = class();
        let files = [file("user", b"jo"), file("conf/key", &[0xff, 0, 1])];
        let object = json_of(&VaultSecret::read(&class, &files, "web"));
        assert_eq!(object["data"], json!({"user": "am8=", "conf/key": "/wAB"}));
        assert_eq!(object["versions"]["user"], "version of user");
        assert_eq!(object["readAs"], "web");
        assert_eq!(
            object["class"],
            json!({"provider": "vault", "role": "app", "objects": 2, "serviceAccount": "web"})
        );
        assert_eq!(object["metadata"]["labels"], json!({"app": "web"}));
    }

    #[test]
    fn nothing_else_holds_a_value_or_an_annotation() {
        let class = class();
        for object in [
            json_of(&VaultSecretList::new([&class].into_iter())),
            json_of(&MetadataList::new([&class].into_iter())),
            json_of(&Metadata::new(&class)),
        ] {
            let text = object.to_string();
            for word in ["\"data\"", "versions", "annotations", "hunter2", "secret/data/db"] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    }

    #[test]
    fn a_uid_follows_the_classs_alone() {
        let one = uid("8d2f8f7c-1f1b-4b57-8a29-000000000001");
        assert_eq!(one, uid("8d2f8f7c-1f1b-4b57-8a29-000000000001"));
        assert_ne!(one, uid("8d2f8f7c-1f1b-4b57-8a29-000000000002"));
        assert_eq!((one.len(), &one[14..15]), (36, "8"));
    }

    #[test]
    fn a_class_that_is_wrong_says_so() {
        let mut wrong = object();
        wrong["spec"]["parameters"]["objects"] = "- objectName: x\n".into();
        let class = held(&wrong).expect("a class of ours");
        let object = json_of(&VaultSecret::without_values(&class));
        assert!(object["class"]["problem"].as_str().expect("a problem").contains("secretPath"));
    }
}
