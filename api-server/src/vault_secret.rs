//! The objects in answers: whole, in a list without values, or with metadata alone.

use coffer_provider::{File, Secret};
use data_encoding::BASE64;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ring::digest::{SHA256, digest};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::api::{GROUP_VERSION, KIND};
use crate::watched_class::WatchedClass;

/// One object. Only the object of a read holds secret values.
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
    data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<FileVersions<'a>>,
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
    problem: Option<&'a str>,
}

/// Contents of files by path, in base64.
struct FileData<'a>(&'a [File]);

/// Versions of files by path.
struct FileVersions<'a>(&'a [File]);

impl<'a> VaultSecret<'a> {
    /// Returns the object without its values, as in lists and tables. It takes no request to Vault.
    pub(crate) fn without_values(class: &'a WatchedClass) -> Self {
        let summary = class.summary.as_ref();
        Self {
            api_version: GROUP_VERSION,
            kind: KIND,
            metadata: metadata(class),
            class: ClassSummary {
                provider: &class.provider,
                role: summary.ok().map(|summary| &*summary.role),
                objects: summary.ok().map(|summary| summary.objects),
                service_account: class.service_account.as_deref(),
                problem: summary.err().map(|problem| &**problem),
            },
            read_as: None,
            data: None,
            versions: None,
        }
    }

    /// Returns the object with the files that were read.
    pub(crate) fn read(class: &'a WatchedClass, files: &'a [File], read_as: &'a str) -> Self {
        Self {
            read_as: Some(read_as),
            data: Some(FileData(files)),
            versions: Some(FileVersions(files)),
            ..Self::without_values(class)
        }
    }
}

/// An object with metadata alone: `PartialObjectMetadata` of apimachinery.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartialMetadata {
    api_version: &'static str,
    kind: &'static str,
    metadata: ObjectMeta,
}

impl PartialMetadata {
    pub(crate) fn new(class: &WatchedClass) -> Self {
        Self { api_version: "meta.k8s.io/v1", kind: "PartialObjectMetadata", metadata: metadata(class) }
    }
}

/// Returns an object's metadata, without annotations: kubectl keeps the whole class in one of them.
fn metadata(class: &WatchedClass) -> ObjectMeta {
    ObjectMeta {
        name: Some(class.name.to_string()),
        namespace: Some(class.namespace.to_string()),
        uid: Some(uid(&class.uid)),
        creation_timestamp: class.created.clone(),
        labels: Some(class.labels()).filter(|labels| !labels.is_empty()),
        ..ObjectMeta::default()
    }
}

/// Returns the uid of an object, made from the uid of its class: two objects with one uid would
/// confuse garbage collection.
fn uid(class: &str) -> String {
    let seed = format!("{GROUP_VERSION}/{KIND}/{class}");
    let digest = digest(&SHA256, seed.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    // version 8 of RFC 9562, for custom formats
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Serialize for FileData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for file in self.0 {
            map.serialize_entry(&file.path, &Base64(&file.contents))?;
        }
        map.end()
    }
}

impl Serialize for FileVersions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|file| (&file.path, &file.version)))
    }
}

/// A secret in base64, written straight into the answer so that no copy of the value is left
/// behind.
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

    use super::{PartialMetadata, VaultSecret, uid};
    use crate::watched_class::WatchedClass;
    use crate::watched_class::tests::{object, watched};

    fn class() -> WatchedClass {
        watched(&object()).expect("a class of ours")
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
        for object in [json_of(&VaultSecret::without_values(&class)), json_of(&PartialMetadata::new(&class))]
        {
            let text = object.to_string();
            for word in ["\"data\"", "versions", "annotations", "hunter2", "secret/data/db"] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    }

    #[test]
    fn a_uid_depends_on_the_uid_of_the_class_alone() {
        let one = uid("8d2f8f7c-1f1b-4b57-8a29-000000000001");
        assert_eq!(one, uid("8d2f8f7c-1f1b-4b57-8a29-000000000001"));
        assert_ne!(one, uid("8d2f8f7c-1f1b-4b57-8a29-000000000002"));
        assert_eq!((one.len(), &one[14..15]), (36, "8"));
    }

    #[test]
    fn a_class_that_is_wrong_says_so() {
        let mut wrong = object();
        wrong["spec"]["parameters"]["objects"] = "- objectName: x\n".into();
        let class = watched(&wrong).expect("a class of ours");
        let object = json_of(&VaultSecret::without_values(&class));
        assert!(object["class"]["problem"].as_str().expect("a problem").contains("secretPath"));
    }
}
