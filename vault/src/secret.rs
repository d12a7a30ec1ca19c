//! The type for secret bytes.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that must not be seen: a secret value, a token, or a body that may hold secrets.
///
/// The bytes are wiped when dropped, print as `[redacted]`, and have no serialization. Buffers of
/// HTTP and gRPC libraries are not wiped.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Returns a secret with these bytes. A vector or string is taken over without a copy.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Returns the secret bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes as text; none if the bytes are not UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the bytes as a vector, which is not wiped when dropped.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many bytes the buffer holds before it has to grow.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Grows the buffer to this capacity. The bytes are copied and the old buffer is wiped.
    pub fn reserve(&mut self, capacity: usize) {
        if capacity > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(capacity));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
    }

    /// Gives back the part of the buffer that holds nothing, if that is much.
    pub fn shrink(&mut self) {
        if self.0.capacity() > self.0.len() + 64 {
            let mut exact = Zeroizing::new(Vec::with_capacity(self.0.len()));
            exact.extend_from_slice(&self.0);
            self.0 = exact;
        }
    }

    /// Appends bytes. If the buffer has to grow, the bytes are copied and the old buffer is wiped.
    pub fn push(&mut self, more: &[u8]) {
        let needed = self.0.len() + more.len();
        if needed > self.0.capacity() {
            self.reserve(needed.max(2 * self.0.capacity()));
        }
        self.0.extend_from_slice(more);
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_output_is_redacted() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "[redacted]");
        assert_eq!(format!("{:#?}", Some(Secret::from("hunter2"))), "Some(\n    [redacted],\n)");
    }

    #[test]
    fn push_appends_bytes() {
        let mut secret = Secret::default();
        for part in ["ab", "", "cdefghijklmnop", "q"] {
            secret.push(part.as_bytes());
        }
        assert_eq!(secret.expose(), b"abcdefghijklmnopq");
    }
}
