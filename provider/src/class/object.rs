//! One object of a class, checked.

use std::sync::Arc;

use coffer_vault::{Request, Secret};

use super::output::Output;
use super::place::Place;

/// One object of a class: one file, or a file for each of several keys.
#[derive(Debug)]
pub struct Object {
    /// Where its file or files are in the volume.
    pub place: Place,
    /// The request to Vault.
    pub request: Arc<Request>,
    /// What is made of the answer.
    pub output: Output,
    /// The mode of the files, if the object sets one.
    pub mode: Option<u32>,
    /// Whether it makes no file, instead of an error, if what it names is not in Vault.
    pub is_optional: bool,
    /// The object in the form that the incumbent hashes into a version, with the fields that the
    /// incumbent does not know if they are set.
    pub fingerprint: Secret,
}

impl Object {
    /// Returns whether the object makes a file for each key.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.output, Output::Files { .. })
    }

    /// Returns whether the object can make the file with this path.
    #[must_use]
    pub fn may_make(&self, path: &str) -> bool {
        let Output::Files { keys, .. } = &self.output else { return self.name() == path };
        let key = path.rsplit('/').next().unwrap_or(path);
        keys.takes(key) && self.place.file_of_key(key).is_ok_and(|file| file.as_str() == path)
    }

    /// Returns the `objectName`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.place.as_str()
    }
}
