//! The SecretProviderClasses that a workload gets.

use std::collections::BTreeMap;

use super::injection::{InjectedSecret, Injection, InjectionNote, SecretTemplate};
use super::outcome::ConvertOutcome;
use super::workload::Workload;
use super::yaml::value::PlainValue;
use super::yaml::write::BlockStyle;

/// A class that is written, and where its volume is mounted.
#[derive(Debug)]
pub(super) struct ConvertedClass {
    /// The name.
    pub(super) name: String,
    /// The namespace, if the workload names one.
    pub(super) namespace: Option<String>,
    /// The provider.
    pub(super) provider: String,
    /// The parameters without `objects`.
    pub(super) parameters: Vec<(&'static str, String)>,
    /// The objects.
    pub(super) objects: Vec<ConvertedObject>,
    /// Where the volume is mounted.
    pub(super) mount_path: String,
    /// The workload, as `kubectl` names it.
    pub(super) workload: String,
}

/// An object of a class.
#[derive(Debug)]
pub(super) struct ConvertedObject {
    /// The annotation that it comes from, without prefix.
    pub(super) annotation: String,
    /// The `objectName`.
    pub(super) name: String,
    /// What the file holds.
    pub(super) source: ObjectSource,
    /// The `filePermission`.
    pub(super) permission: Option<String>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ObjectSource {
    /// The value of one key.
    Key {
        /// The path in Vault.
        path: String,
        /// The key.
        key: String,
        /// Whether the value is decoded from base64.
        is_base64: bool,
    },
    /// What a template gives.
    Template(SecretTemplate),
}

impl ConvertedClass {
    /// Returns a class for each place where the pod gets files. The name of the first is the
    /// workload's.
    pub(super) fn of(workload: &Workload, injection: &Injection, provider: Option<&str>) -> Vec<Self> {
        let mut volumes: Vec<&str> = injection.secrets.iter().map(|secret| secret.volume.as_str()).collect();
        volumes.sort_unstable_by_key(|path| (*path != injection.volume_path, *path));
        volumes.dedup();
        // nothing can be mounted in a read-only volume: what is below another one is part of it
        let is_below = |path: &str| volumes.iter().any(|other| is_above(other, path));
        let outer = volumes.iter().filter(|path| !is_below(path));
        outer
            .map(|mount_path| Self {
                name: workload.name.clone(),
                namespace: workload.namespace.clone(),
                provider: provider.unwrap_or(injection.provider).to_owned(),
                parameters: injection.parameters.clone(),
                objects: injection.secrets.iter().filter_map(|secret| object(secret, mount_path)).collect(),
                mount_path: (*mount_path).to_owned(),
                workload: workload.title(),
            })
            .collect()
    }

    /// Takes out objects that would write a file which another one writes.
    pub(super) fn remove_doubles(&mut self, notes: &mut Vec<InjectionNote>, full: &dyn Fn(&str) -> String) {
        let mut names: Vec<String> = Vec::new();
        self.objects.retain(|object| {
            let is_double = names.contains(&object.name);
            if is_double {
                let message = format!(
                    "not converted: another annotation writes the file {} too, and the injector wrote now one and now \
                     the other: give one of them another name",
                    object.name
                );
                let annotation = full(&object.annotation);
                notes.push(InjectionNote { annotation, outcome: ConvertOutcome::NeedsPerson, message });
            }
            names.push(object.name.clone());
            !is_double
        });
    }

    /// Returns all parameters, as a provider gets them.
    pub(super) fn parameters_with_objects(&self) -> BTreeMap<String, String> {
        let parameters = self.parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        parameters.chain([("objects".to_owned(), self.objects_text())]).collect()
    }

    /// Returns the manifest.
    pub(super) fn value(&self) -> PlainValue {
        let mut metadata = PlainValue::map([("name", PlainValue::string(&self.name))]);
        if let Some(namespace) = &self.namespace {
            metadata.set("namespace", PlainValue::string(namespace));
        }
        let mut parameters = PlainValue::Map(Vec::new());
        for (name, value) in &self.parameters {
            parameters.set(name, PlainValue::string(value));
        }
        parameters.set("objects", PlainValue::string(self.objects_text()));
        PlainValue::map([
            ("apiVersion", PlainValue::string("secrets-store.csi.x-k8s.io/v1")),
            ("kind", PlainValue::string("SecretProviderClass")),
            ("metadata", metadata),
            (
                "spec",
                PlainValue::map([
                    ("provider", PlainValue::string(&self.provider)),
                    ("parameters", parameters),
                ]),
            ),
        ])
    }

    /// Returns the manifest as text.
    pub(super) fn text(&self) -> String {
        let block = BlockStyle { indent_lists: true }.block(&self.value(), 0);
        format!("# The files of {} at {}.\n{block}", self.workload, self.mount_path)
    }

    fn objects_text(&self) -> String {
        let style = BlockStyle { indent_lists: true };
        let object = |object: &ConvertedObject| {
            let item = style.block(&PlainValue::List(vec![object.value()]), 0);
            format!("# {}\n{item}", object.annotation)
        };
        self.objects.iter().map(object).collect()
    }
}

impl ConvertedObject {
    fn value(&self) -> PlainValue {
        let mut value = PlainValue::map([("objectName", PlainValue::string(&self.name))]);
        match &self.source {
            ObjectSource::Key { path, key, is_base64 } => {
                value.set("secretPath", PlainValue::string(path));
                value.set("secretKey", PlainValue::string(key));
                if *is_base64 {
                    value.set("encoding", PlainValue::string("base64"));
                }
            }
            ObjectSource::Template(template) => {
                value.set("template", PlainValue::string(&template.text));
                if let Some((left, right)) = &template.delimiters {
                    value.set("leftDelimiter", PlainValue::string(left));
                    value.set("rightDelimiter", PlainValue::string(right));
                }
                if !template.error_on_missing_key {
                    value.set("errorOnMissingKey", PlainValue::literal("false"));
                }
            }
        }
        if let Some(mode) = &self.permission {
            value.set("filePermission", PlainValue::string(mode));
        }
        value
    }
}

fn object(secret: &InjectedSecret, mount_path: &str) -> Option<ConvertedObject> {
    let name = secret.file.strip_prefix(mount_path.trim_end_matches('/'))?.strip_prefix('/')?;
    if secret.volume != mount_path && !is_above(mount_path, &secret.volume) {
        return None;
    }
    Some(ConvertedObject {
        annotation: secret.annotation.clone(),
        name: name.to_owned(),
        source: ObjectSource::Template(secret.template.clone()),
        permission: secret.permission.clone(),
    })
}

/// Returns whether a path is below another one.
fn is_above(path: &str, other: &str) -> bool {
    other.strip_prefix(path.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}
