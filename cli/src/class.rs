//! Reads a SecretProviderClass from a manifest.

pub(crate) mod document;
pub(crate) mod manifest;
pub(crate) mod node;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use self::manifest::Fault;

/// A SecretProviderClass, as far as a provider is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    #[error("{file}: {fault}")]
    Syntax {
        /// In which file, line and column.
        file: String,
        /// What.
        fault: String,
    },
    /// Nothing to mount.
    #[error("{}: no SecretProviderClass{}; it has {}", file.display(), named(wanted.as_deref()), list(found))]
    None {
        /// Where it was looked for.
        file: PathBuf,
        /// The name that was asked for.
        wanted: Option<String>,
        /// What is there instead.
        found: Vec<String>,
    },
    /// More than one to mount.
    #[error("{}: several of kind SecretProviderClass: {}; choose one by --name", file.display(), list(found))]
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
    let syntax =
        |fault: &Fault| ClassError::Syntax { file: placed(file, fault), fault: fault.message.clone() };
    let mut manifests = Vec::new();
    let mut others = Vec::new();
    for document in document::split(text) {
        let Some(document) = document.parse().map_err(|fault| syntax(&fault))? else { continue };
        for object in manifest::objects(&document) {
            if manifest::is_class(object) {
                manifests.push(manifest::read(object));
            }
            others.push(manifest::title(object));
        }
    }
    manifests.retain(|manifest| name.is_none_or(|name| manifest.class.name == name));
    if manifests.len() > 1 {
        let found = manifests.into_iter().map(|manifest| manifest.class.name).collect();
        return Err(ClassError::Several { file: file.to_owned(), found });
    }
    let Some(manifest) = manifests.pop() else {
        let wanted = name.map(str::to_owned);
        return Err(ClassError::None { file: file.to_owned(), wanted, found: others });
    };
    match manifest.faults.first() {
        Some(fault) => Err(syntax(fault)),
        None => Ok(manifest.class),
    }
}

/// `FILE:LINE:COLUMN`, as compilers write it.
fn placed(file: &Path, fault: &Fault) -> String {
    let place = fault.at.map(|at| format!(":{}:{}", at.line, at.column));
    format!("{}{}", file.display(), place.unwrap_or_default())
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!(" named {name}")).unwrap_or_default()
}

fn list(found: &[String]) -> String {
    if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
}
