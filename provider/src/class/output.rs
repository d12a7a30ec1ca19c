//! What an object makes of Vault's answer: the format of its file or files, and the part of the data
//! that goes into them.

use super::json_pointer::JsonPointer;
use super::key_filter::KeyFilter;

/// What an object makes of Vault's answer.
#[derive(Debug)]
pub enum Output {
    /// A file with the whole response.
    Response,
    /// A file with one value.
    Value {
        /// The value.
        part: Part,
        /// How the value represents the bytes of the file.
        encoding: Encoding,
    },
    /// A file with several keys and their values.
    Document {
        /// How they are written.
        format: DocumentFormat,
        /// The map of keys and values; for JSON and YAML, any value.
        part: Part,
        /// The keys that are written.
        keys: KeyFilter,
    },
    /// A file of PEM blocks.
    Pem {
        /// The keys, whose values have the blocks in this order; none is the part itself.
        keys: Vec<String>,
        /// The value with the blocks, or the map that holds `keys`.
        part: Part,
    },
    /// A file for each key.
    Files {
        /// The map of keys and values.
        part: Part,
        /// The keys that become files.
        keys: KeyFilter,
        /// How each value represents the bytes of its file.
        encoding: Encoding,
    },
}

impl Output {
    /// Returns the number of patterns and keys in lists.
    pub(super) fn listed(&self) -> usize {
        match self {
            Self::Document { keys, .. } | Self::Files { keys, .. } => keys.len(),
            Self::Pem { keys, .. } => keys.len(),
            Self::Response | Self::Value { .. } => 0,
        }
    }
}

/// A part of the data in an answer: all of it, if nothing is set.
#[derive(Debug, Default)]
pub struct Part {
    /// The key whose value it is.
    pub key: Option<String>,
    /// The place in that value, or in the data.
    pub pointer: Option<JsonPointer>,
}

/// A format that writes several keys into one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentFormat {
    /// JSON on one line.
    Json,
    /// YAML in block style.
    Yaml,
    /// Lines `KEY='value'` for a POSIX shell and for systemd.
    Dotenv,
    /// Lines `export KEY='value'` for a POSIX shell.
    Shell,
    /// Java properties.
    Properties,
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
