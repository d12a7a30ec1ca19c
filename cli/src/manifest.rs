//! Reads SecretProviderClasses from manifests.

pub(crate) mod class;
pub(crate) mod document;
mod fault;
pub(crate) mod files;
pub(crate) mod yaml;

use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

use self::class::{ClassManifest, LocatedClass};
pub(crate) use self::fault::ManifestFault;

/// Why a file gives no class.
#[derive(Debug, Error)]
pub(crate) enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file has a mistake.
    #[error("{position}: {message}")]
    Fault {
        /// The file, and the line and column if they are known.
        position: String,
        /// What is wrong.
        message: String,
    },
    /// The file has no class, or none with the name that is wanted.
    #[error("{}: no SecretProviderClass{}; it has {}", file.display(), named(wanted.as_deref()), list(found))]
    None {
        /// The file.
        file: PathBuf,
        /// The name that is wanted.
        wanted: Option<String>,
        /// What the file has instead.
        found: Vec<String>,
    },
    /// The file has several classes.
    #[error("{}: several of kind SecretProviderClass: {}; choose one by --name", file.display(), list(found))]
    Several {
        /// The file.
        file: PathBuf,
        /// The names of the classes.
        found: Vec<String>,
    },
}

/// Reads the only class in a file, or the class with this name.
pub(crate) fn read_class(file: &Path, name: Option<&str>) -> Result<ClassManifest, ManifestError> {
    let bytes = fs::read(file).map_err(|source| ManifestError::File { file: file.to_owned(), source })?;
    let text = document::text(&bytes).map_err(|fault| at_fault(file, fault))?;
    parse_class(file, &text, name)
}

fn parse_class(file: &Path, text: &str, name: Option<&str>) -> Result<ClassManifest, ManifestError> {
    let (mut classes, titles) = classes_and_titles(text).map_err(|fault| at_fault(file, fault))?;
    classes.retain(|located| name.is_none_or(|name| located.class.name == name));
    if classes.len() > 1 {
        let found = classes.into_iter().map(|located| located.class.name).collect();
        return Err(ManifestError::Several { file: file.to_owned(), found });
    }
    let Some(located) = classes.pop() else {
        let wanted = name.map(str::to_owned);
        return Err(ManifestError::None { file: file.to_owned(), wanted, found: titles });
    };
    match located.faults.into_iter().next() {
        Some(fault) => Err(at_fault(file, fault)),
        None => Ok(located.class),
    }
}

/// Returns the classes in a text, and the titles of all objects in the text.
pub(crate) fn classes_and_titles(text: &str) -> Result<(Vec<LocatedClass>, Vec<String>), ManifestFault> {
    let (mut classes, mut titles) = (Vec::new(), Vec::new());
    for document in document::split(text) {
        let Some(document) = document.parse()? else { continue };
        for object in class::objects(&document) {
            if class::is_class(object) {
                classes.push(class::read(object));
            }
            titles.push(class::title(object));
        }
    }
    Ok((classes, titles))
}

/// Names the position as compilers do: `FILE:LINE:COLUMN`.
fn at_fault(file: &Path, ManifestFault { at, message }: ManifestFault) -> ManifestError {
    let position = at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
    ManifestError::Fault { position: format!("{}{position}", file.display()), message }
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!(" named {name}")).unwrap_or_default()
}

fn list(found: &[String]) -> String {
    if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
}

#[cfg(test)]
mod tests;
