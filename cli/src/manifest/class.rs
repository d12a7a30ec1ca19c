//! A SecretProviderClass in a manifest, with the positions of its parts.

use std::collections::BTreeMap;

use coffer_provider::class::Position;

use super::fault::ManifestFault;
use super::yaml::{YamlMember, YamlNode, YamlValue};

const KIND: &str = "SecretProviderClass";
const GROUP: &str = "secrets-store.csi.x-k8s.io/";

/// The parameters that can name an audience. If several are set, the first in this list counts.
const AUDIENCES: [&str; 4] = ["baoAudience", "openbaoAudience", "vaultAudience", "audience"];

/// What a manifest says of a SecretProviderClass, as far as a provider receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassManifest {
    /// The name.
    pub(crate) name: String,
    /// The namespace, if the manifest names one.
    pub(crate) namespace: Option<String>,
    /// The provider that the class is for.
    pub(crate) provider: String,
    /// The parameters for that provider.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A class with the positions of its parts in the manifest.
pub(crate) struct LocatedClass {
    /// The class, as far as it can be read.
    pub(crate) class: ClassManifest,
    /// What Kubernetes would refuse.
    pub(crate) faults: Vec<ManifestFault>,
    /// The position of the class's name.
    pub(crate) at: Option<Position>,
    /// The positions of the parameters.
    pub(crate) positions: BTreeMap<String, ParameterPosition>,
    /// The objects that `secretObjects` copy to Kubernetes Secrets.
    pub(crate) synced: Vec<SyncedObject>,
}

/// The position of a parameter.
#[derive(Clone, Copy)]
pub(crate) struct ParameterPosition {
    /// The position of the name.
    pub(crate) name: Option<Position>,
    /// The position of the value.
    pub(crate) text: Option<Position>,
}

/// An object that `secretObjects` name.
pub(crate) struct SyncedObject {
    /// The `objectName`.
    pub(crate) object: String,
    /// The position of the `objectName`.
    pub(crate) at: Option<Position>,
}

impl ClassManifest {
    /// Returns the name under which the class sets a parameter, given without its prefix; the one
    /// that counts if there are several.
    pub(crate) fn spelled(&self, parameter: &str) -> Option<&str> {
        let also = match parameter {
            "AuthMountPath" => &["KubernetesMountPath"][..],
            "RoleName" => &["roleName"],
            "Audience" => &["audience"],
            _ => &[],
        };
        let prefixed = |name: &str| ["bao", "openbao", "vault"].map(|prefix| format!("{prefix}{name}"));
        let names = prefixed(parameter)
            .into_iter()
            .chain(also.iter().flat_map(|name| prefixed(name).into_iter().chain([(*name).to_owned()])));
        let set = |name: String| self.parameters.get_key_value(&name).filter(|(_, text)| !text.is_empty());
        names.filter_map(set).map(|(name, _)| name.as_str()).next()
    }

    /// Returns the audience that the class names.
    pub(crate) fn audience(&self) -> Option<&str> {
        let set = |name| self.parameters.get(name).map(String::as_str).filter(|text| !text.is_empty());
        AUDIENCES.into_iter().find_map(set)
    }
}

/// Returns the objects of a document: the document itself, or the items of a list.
pub(crate) fn objects(document: &YamlNode) -> Vec<&YamlNode> {
    let is_list = text_of(document, "kind").is_some_and(|kind| kind.ends_with("List"));
    match document.get("items") {
        Some(items) if is_list => items.items().iter().collect(),
        _ => vec![document],
    }
}

/// Tells whether an object is a SecretProviderClass.
pub(crate) fn is_class(object: &YamlNode) -> bool {
    let group = text_of(object, "apiVersion").is_some_and(|version| version.starts_with(GROUP));
    group && text_of(object, "kind") == Some(KIND)
}

/// Returns an object's API version, kind and name.
pub(crate) fn title(object: &YamlNode) -> String {
    let name = object.get("metadata").and_then(|metadata| text_of(metadata, "name"));
    let words = [text_of(object, "apiVersion"), text_of(object, "kind"), name];
    words.map(|word| word.unwrap_or("-")).join(" ")
}

/// Reads a SecretProviderClass.
pub(crate) fn read(object: &YamlNode) -> LocatedClass {
    let mut faults = Vec::new();
    let metadata = member(object, "metadata", &mut faults);
    let name = metadata.and_then(|metadata| string(metadata, "name", &mut faults));
    let namespace = metadata.filter(|metadata| metadata.get("namespace").is_some());
    let namespace = namespace.and_then(|metadata| string(metadata, "namespace", &mut faults));
    let spec = member(object, "spec", &mut faults);
    let provider = spec.and_then(|spec| string(spec, "provider", &mut faults));
    let (parameters, positions) = parameters(spec, &mut faults);
    LocatedClass {
        class: ClassManifest {
            name: name.unwrap_or_default().to_owned(),
            namespace: namespace.map(str::to_owned),
            provider: provider.unwrap_or_default().to_owned(),
            parameters,
        },
        faults,
        at: metadata.and_then(|metadata| metadata.get("name")?.at).or(object.at),
        positions,
        synced: spec.map(synced).unwrap_or_default(),
    }
}

fn parameters(
    spec: Option<&YamlNode>,
    faults: &mut Vec<ManifestFault>,
) -> (BTreeMap<String, String>, BTreeMap<String, ParameterPosition>) {
    let (mut texts, mut positions) = (BTreeMap::new(), BTreeMap::new());
    let Some(parameters) = spec.and_then(|spec| spec.get("parameters")) else {
        return (texts, positions);
    };
    if !matches!(parameters.value, YamlValue::Map(_)) {
        let message = format!("parameters is {}, not a map of strings", parameters.kind());
        faults.push(ManifestFault { at: parameters.at, message });
    }
    for YamlMember { at, name, node } in parameters.members() {
        match node.text() {
            Some(text) => {
                texts.insert(name.clone(), text.to_owned());
            }
            None => {
                faults.push(ManifestFault {
                    at: *at,
                    message: not_a_string(&format!("parameter {name:?}"), node),
                });
            }
        }
        positions.insert(name.clone(), ParameterPosition { name: *at, text: node.at });
    }
    (texts, positions)
}

fn synced(spec: &YamlNode) -> Vec<SyncedObject> {
    let secrets = spec.get("secretObjects").map(YamlNode::items).unwrap_or_default();
    let data = secrets.iter().flat_map(|secret| secret.get("data").map(YamlNode::items).unwrap_or_default());
    let name = |data: &YamlNode| {
        let node = data.get("objectName")?;
        Some(SyncedObject { object: node.text()?.to_owned(), at: node.at })
    };
    data.filter_map(name).collect()
}

fn member<'a>(object: &'a YamlNode, name: &str, faults: &mut Vec<ManifestFault>) -> Option<&'a YamlNode> {
    let found = object.get(name);
    if found.is_none() {
        faults.push(ManifestFault { at: object.at, message: format!("{name} is missing") });
    }
    found
}

fn string<'a>(object: &'a YamlNode, name: &str, faults: &mut Vec<ManifestFault>) -> Option<&'a str> {
    let node = member(object, name, faults)?;
    if node.text().is_none() {
        faults.push(ManifestFault { at: node.at, message: not_a_string(name, node) });
    }
    node.text()
}

fn not_a_string(what: &str, node: &YamlNode) -> String {
    match node.kind() {
        scalar @ ("a boolean" | "a number") => {
            format!("{what} is {scalar}, where Kubernetes takes a string: put it in quotes")
        }
        other => format!("{what} is {other}, where Kubernetes takes a string"),
    }
}

fn text_of<'a>(node: &'a YamlNode, name: &str) -> Option<&'a str> {
    node.get(name)?.text()
}
