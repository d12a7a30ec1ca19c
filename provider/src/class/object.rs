//! One object of a class, checked.

use std::sync::Arc;

use coffer_vault::{Request, Secret};

use super::file_path::FilePath;

/// One object of a class: one file.
#[derive(Debug)]
pub struct Object {
    /// The path of the file in the volume.
    pub file: FilePath,
    /// The request to Vault.
    pub request: Arc<Request>,
    /// The key whose value is the file; without one, the file is the whole response.
    pub key: Option<String>,
    /// The file's mode, if the object sets one.
    pub mode: Option<u32>,
    /// How the value in Vault is decoded.
    pub encoding: Encoding,
    /// The object in the form that the incumbent hashes into a version.
    pub fingerprint: Secret,
}

/// How a value in Vault represents the bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The value is the file.
    Utf8,
    /// The value is base64 (RFC 4648, with padding).
    Base64,
    /// The value is hexadecimal.
    Hex,
}
