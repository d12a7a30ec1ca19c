//! A SecretProviderClass in a manifest, with the places of its parts.

use std::collections::BTreeMap;

use coffer_provider::class::Position;

use super::Class;
use super::node::{Entry, Node, Value};

const KIND: &str = "SecretProviderClass";
const GROUP: &str = "secrets-store.csi.x-k8s.io/";

/// A class as it stands in a manifest.
pub(crate) struct Manifest {
    /// The class, as far as it can be read.
    pub(crate) class: Class,
    /// What Kubernetes would refuse.
    pub(crate) faults: Vec<Fault>,
    /// Where the class's name stands.
    pub(crate) at: Option<Position>,
    /// Where each parameter stands.
    pub(crate) places: BTreeMap<String, Place>,
    /// The objects that `secretObjects` take a value from.
    pub(crate) synced: Vec<Synced>,
}

/// Where a parameter stands.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Its name.
    pub(crate) name: Option<Position>,
    /// Its text.
    pub(crate) text: Option<Position>,
}

/// An `objectName` that `secretObjects` name.
pub(crate) struct Synced {
    /// The name.
    pub(crate) object: String,
    /// Where it stands.
    pub(crate) at: Option<Position>,
}

/// A mistake in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where.
    pub(crate) at: Option<Position>,
    /// What, on one line.
    pub(crate) message: String,
}

/// The objects of a document: itself, or what it lists.
pub(crate) fn objects(document: &Node) -> Vec<&Node> {
    let is_list = text_of(document, "kind").is_some_and(|kind| kind.ends_with("List"));
    match document.get("items") {
        Some(items) if is_list => items.items().iter().collect(),
        _ => vec![document],
    }
}

/// Whether the object is a SecretProviderClass.
pub(crate) fn is_class(object: &Node) -> bool {
    let group = text_of(object, "apiVersion").is_some_and(|version| version.starts_with(GROUP));
    group && text_of(object, "kind") == Some(KIND)
}

/// The object in a few words.
pub(crate) fn title(object: &Node) -> String {
    let name = object.get("metadata").and_then(|metadata| text_of(metadata, "name"));
    let words = [text_of(object, "apiVersion"), text_of(object, "kind"), name];
    words.map(|word| word.unwrap_or("-")).join(" ")
}

/// Reads a SecretProviderClass.
pub(crate) fn read(object: &Node) -> Manifest {
    let mut faults = Vec::new();
    let metadata = member(object, "metadata", &mut faults);
    let name = metadata.and_then(|metadata| string(metadata, "name", &mut faults));
    let namespace = metadata.filter(|metadata| metadata.get("namespace").is_some());
    let namespace = namespace.and_then(|metadata| string(metadata, "namespace", &mut faults));
    let spec = member(object, "spec", &mut faults);
    let provider = spec.and_then(|spec| string(spec, "provider", &mut faults));
    let (parameters, places) = parameters(spec, &mut faults);
    Manifest {
        class: Class {
            name: name.unwrap_or_default().to_owned(),
            namespace: namespace.map(str::to_owned),
            provider: provider.unwrap_or_default().to_owned(),
            parameters,
        },
        faults,
        at: metadata.and_then(|metadata| metadata.get("name")?.at).or(object.at),
        places,
        synced: spec.map(synced).unwrap_or_default(),
    }
}

fn parameters(
    spec: Option<&Node>,
    faults: &mut Vec<Fault>,
) -> (BTreeMap<String, String>, BTreeMap<String, Place>) {
    let (mut texts, mut places) = (BTreeMap::new(), BTreeMap::new());
    let Some(parameters) = spec.and_then(|spec| spec.get("parameters")) else {
        return (texts, places);
    };
    if !matches!(parameters.value, Value::Map(_)) {
        let message = format!("parameters is {}, not a map of strings", parameters.kind());
        faults.push(Fault { at: parameters.at, message });
    }
    for Entry { at, name, node } in parameters.entries() {
        match node.text() {
            Some(text) => {
                texts.insert(name.clone(), text.to_owned());
            }
            None => {
                faults.push(Fault { at: *at, message: not_a_string(&format!("parameter {name:?}"), node) });
            }
        }
        places.insert(name.clone(), Place { name: *at, text: node.at });
    }
    (texts, places)
}

fn synced(spec: &Node) -> Vec<Synced> {
    let secrets = spec.get("secretObjects").map(Node::items).unwrap_or_default();
    let data = secrets.iter().flat_map(|secret| secret.get("data").map(Node::items).unwrap_or_default());
    let name = |data: &Node| {
        let node = data.get("objectName")?;
        Some(Synced { object: node.text()?.to_owned(), at: node.at })
    };
    data.filter_map(name).collect()
}

fn member<'a>(object: &'a Node, name: &str, faults: &mut Vec<Fault>) -> Option<&'a Node> {
    let found = object.get(name);
    if found.is_none() {
        faults.push(Fault { at: object.at, message: format!("{name} is missing") });
    }
    found
}

fn string<'a>(object: &'a Node, name: &str, faults: &mut Vec<Fault>) -> Option<&'a str> {
    let node = member(object, name, faults)?;
    if node.text().is_none() {
        faults.push(Fault { at: node.at, message: not_a_string(name, node) });
    }
    node.text()
}

fn not_a_string(what: &str, node: &Node) -> String {
    match node.kind() {
        scalar @ ("a boolean" | "a number") => {
            format!("{what} is {scalar}, where Kubernetes takes a string: put it in quotes")
        }
        other => format!("{what} is {other}, where Kubernetes takes a string"),
    }
}

fn text_of<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    node.get(name)?.text()
}
