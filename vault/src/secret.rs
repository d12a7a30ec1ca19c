//! The one type that holds secret bytes.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that must not be seen: a secret's value, a token, a request body that may hold one.
///
/// The bytes are wiped when dropped, print as `[redacted]`, and have no serialisation. Buffers of libraries
/// on the way (HTTP, gRPC) are not wiped.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Returns a secret of these bytes, taken over without a copy.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Returns the bytes, for the place that must use them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes as text, where they are UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the bytes to a caller that sends them on; they are no longer wiped.
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

    /// Appends bytes. A buffer that has to grow is copied, and the old one is wiped.
    pub fn push(&mut self, more: &[u8]) {
        let needed = self.0.len() + more.len();
        if needed > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity())));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
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
    fn prints_nothing_of_its_bytes() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "[redacted]");
        assert_eq!(format!("{:#?}", Some(Secret::from("hunter2"))), "Some(\n    [redacted],\n)");
    }

    #[test]
    fn grows_by_push() {
        let mut secret = Secret::default();
        for part in ["ab", "", "cdefghijklmnop", "q"] {
            secret.push(part.as_bytes());
        }
        assert_eq!(secret.expose(), b"abcdefghijklmnopq");
    }
}
