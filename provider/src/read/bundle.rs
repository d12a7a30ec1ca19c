//! The result of a read.

use coffer_shares::Share;
use coffer_vault::Secret;

/// The files of a class. A bundle is always complete.
#[derive(Debug)]
pub struct Bundle {
    /// The files, in the order of the class: one for most objects, one for each key of others, none
    /// for an optional object that is absent.
    pub files: Vec<File>,
    /// Whether an earlier read for the same volume gave files, as far as this provider knows.
    pub had_files: bool,
    /// What is given back when the answer is sent.
    pub held: HeldForAnswer,
}

/// The memory of an answer, which is given back when this value is dropped, after the answer is
/// sent.
#[derive(Debug)]
pub struct HeldForAnswer {
    pub(super) _memory: Share,
}

/// A file of a bundle.
#[derive(Debug)]
pub struct File {
    /// The path below the mount path, which also identifies the version.
    pub path: String,
    /// The mode, from 0 to 0777.
    pub mode: u32,
    /// The content.
    pub contents: Secret,
    /// The version, never empty. The version changes when the content changes, and only then.
    pub version: String,
}
