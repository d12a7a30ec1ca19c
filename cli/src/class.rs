//! Reads a SecretProviderClass from a manifest.

mod document;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

use self::document::{Document, Text};

const KIND: &str = "SecretProviderClass";
const GROUP: &str = "secrets-store.csi.x-k8s.io/";

/// What a mount needs of a SecretProviderClass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Class {
    /// Its name.
    pub(crate) name: String,
    /// Its namespace, if the manifest says one.
    pub(crate) namespace: Option<String>,
    /// The provider that it is for.
    pub(crate) provider: String,
    /// What that provider is told.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// Why a file gives no class.
#[derive(Debug, Error)]
pub(crate) enum ClassError {
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("{}: {fault}", file.display())]
    Syntax {
        /// In which file.
        file: PathBuf,
        /// What, and in which line.
        fault: String,
    },
    /// Nothing to mount.
    #[error("{}: no {KIND}{}; it has {}", file.display(), named(wanted.as_deref()), list(found))]
    None {
        /// Where it was looked for.
        file: PathBuf,
        /// The name that was asked for.
        wanted: Option<String>,
        /// What is there instead.
        found: Vec<String>,
    },
    /// More than one to mount.
    #[error("{}: several of kind {KIND}: {}; choose one by --name", file.display(), list(found))]
    Several {
        /// Where they are.
        file: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
}

/// Reads the file's one class, or the one with this name.
pub(crate) fn read(file: &Path, name: Option<&str>) -> Result<Class, ClassError> {
    let text =
        fs::read_to_string(file).map_err(|source| ClassError::File { file: file.to_owned(), source })?;
    parse(file, &text, name)
}

fn parse(file: &Path, text: &str, name: Option<&str>) -> Result<Class, ClassError> {
    let syntax = |fault| ClassError::Syntax { file: file.to_owned(), fault };
    let mut headed = Vec::new();
    for document in document::split(text) {
        if let Some(header) = document.parse::<Option<Header>>().map_err(syntax)? {
            headed.push((header, document));
        }
    }
    let document = choose(file, &headed, name)?;
    let manifest: Manifest = document.parse().map_err(syntax)?;
    Ok(manifest.into())
}

fn choose<'a>(
    file: &Path,
    headed: &'a [(Header, Document<'_>)],
    wanted: Option<&str>,
) -> Result<&'a Document<'a>, ClassError> {
    let fits = |header: &Header| header.is_class() && (wanted.is_none() || header.name() == wanted);
    let fitting: Vec<_> = headed.iter().filter(|(header, _)| fits(header)).collect();
    match fitting[..] {
        [(_, document)] => Ok(document),
        [] => Err(ClassError::None {
            file: file.to_owned(),
            wanted: wanted.map(str::to_owned),
            found: headed.iter().map(|(header, _)| header.title()).collect(),
        }),
        _ => Err(ClassError::Several {
            file: file.to_owned(),
            found: fitting.iter().filter_map(|(header, _)| header.name()).map(str::to_owned).collect(),
        }),
    }
}

/// What every manifest has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<HeaderMetadata>,
}

#[derive(Deserialize)]
struct HeaderMetadata {
    name: Option<String>,
}

impl Header {
    fn is_class(&self) -> bool {
        let group = self.api_version.as_deref().is_some_and(|version| version.starts_with(GROUP));
        group && self.kind.as_deref() == Some(KIND)
    }

    fn name(&self) -> Option<&str> {
        self.metadata.as_ref()?.name.as_deref()
    }

    /// The manifest in an error's words.
    fn title(&self) -> String {
        let words = [self.api_version.as_deref(), self.kind.as_deref(), self.name()];
        words.map(|word| word.unwrap_or("-")).join(" ")
    }
}

/// A class as it is written.
#[derive(Deserialize)]
struct Manifest {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: Text,
    namespace: Option<Text>,
}

#[derive(Deserialize)]
struct Spec {
    provider: Text,
    #[serde(default)]
    parameters: BTreeMap<String, Text>,
}

impl From<Manifest> for Class {
    fn from(manifest: Manifest) -> Self {
        let Manifest { metadata, spec } = manifest;
        Self {
            name: metadata.name.0,
            namespace: metadata.namespace.map(|namespace| namespace.0),
            provider: spec.provider.0,
            parameters: spec.parameters.into_iter().map(|(name, value)| (name, value.0)).collect(),
        }
    }
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!(" named {name}")).unwrap_or_default()
}

fn list(found: &[String]) -> String {
    if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
}
