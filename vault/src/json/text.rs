//! A JSON text with its index.

use super::index::{BYTES_PER_VALUE, JsonIndex};
use super::value::{JsonHandle, JsonValue};
use crate::Secret;

/// A JSON text that is not an answer, such as a value that holds JSON as a string.
#[derive(Debug)]
pub struct JsonText {
    text: Secret,
    index: JsonIndex,
}

impl JsonText {
    /// Returns the text with its index; none if it is not JSON, or nests deeper or has more values
    /// than an answer may.
    #[must_use]
    pub fn parse(text: Secret) -> Option<Self> {
        let index = JsonIndex::of(text.expose()).ok()?;
        Some(Self { text, index })
    }

    /// Returns the memory of text and index, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.index.len() * BYTES_PER_VALUE
    }

    /// Returns the value.
    #[must_use]
    pub fn root(&self) -> JsonValue<'_> {
        self.index.root(self.text.expose())
    }

    /// Returns the value with this handle, of a value of this text.
    #[must_use]
    pub fn value(&self, handle: JsonHandle) -> JsonValue<'_> {
        self.root().of_handle(handle)
    }
}
