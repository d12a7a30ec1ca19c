//! One object of a class, checked.

use std::sync::Arc;

use coffer_vault::{Request, Secret};

use super::output::Output;
use super::place::Place;
use super::template::ObjectTemplate;

/// One object of a class: one file, or a file for each of several keys.
#[derive(Debug)]
pub struct Object {
    /// Where its file or files are in the volume.
    pub place: Place,
    /// What it is made of.
    pub source: Source,
    /// The mode of the files, if the object sets one.
    pub mode: Option<u32>,
    /// Whether it makes no file, instead of an error, if what it names is not in Vault.
    pub is_optional: bool,
    /// The object in the form that the incumbent hashes into a version, with the fields that the
    /// incumbent does not know if they are set.
    pub fingerprint: Secret,
}

/// Memory of a pattern or key in a list of an object besides its text, in bytes.
const LISTED_BYTES: usize = 64;

/// About how many bytes a request of a template takes, besides its text.
const REQUEST_BYTES: usize = 512;

/// What an object is made of.
#[derive(Debug)]
pub enum Source {
    /// One answer.
    Answer {
        /// The request to Vault.
        request: Arc<Request>,
        /// What is made of the answer.
        output: Output,
    },
    /// A template over several answers.
    Template(ObjectTemplate),
}

impl Source {
    /// Returns the requests whose answers are needed.
    #[must_use]
    pub fn requests(&self) -> &[Arc<Request>] {
        match self {
            Self::Answer { request, .. } => std::slice::from_ref(request),
            Self::Template(template) => &template.requests,
        }
    }

    /// Returns about how many bytes patterns, keys in lists, and templates take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Answer { output, .. } => LISTED_BYTES * output.listed(),
            Self::Template(ObjectTemplate { template, requests, .. }) => {
                template.bytes() + REQUEST_BYTES * requests.len()
            }
        }
    }

    /// Returns the requests, to be changed.
    pub(super) fn requests_mut(&mut self) -> &mut [Arc<Request>] {
        match self {
            Self::Answer { request, .. } => std::slice::from_mut(request),
            Self::Template(template) => &mut template.requests,
        }
    }
}

impl Object {
    /// Returns whether the object makes a file for each key.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.source, Source::Answer { output: Output::Files { .. }, .. })
    }

    /// Returns whether the object can make the file with this path.
    #[must_use]
    pub fn may_make(&self, path: &str) -> bool {
        let Source::Answer { output: Output::Files { keys, .. }, .. } = &self.source else {
            return self.name() == path;
        };
        let key = path.rsplit('/').next().unwrap_or(path);
        keys.takes(key) && self.place.file_of_key(key).is_ok_and(|file| file.as_str() == path)
    }

    /// Returns the `objectName`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.place.as_str()
    }
}
