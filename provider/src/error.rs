//! The one error of a read, mapped to each door's protocol by that door.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is malformed: not the class's author's fault, nor Vault's.
    InvalidRequest,
    /// The SecretProviderClass is wrong; the message names parameter, object and line.
    InvalidClass,
    /// The process's own configuration is wrong: its operator's to mend, whatever the class.
    Misconfigured,
    /// No service account token could be had to log in with.
    NoToken,
    /// Vault refused the login.
    LoginRefused,
    /// Vault denied the read to a token that is good.
    Denied,
    /// Vault would issue something, and the reader did not allow that.
    Issues,
    /// Nothing lies at the path, or the version was deleted, or the key is not there.
    NotFound,
    /// Vault answered with something that cannot be used.
    BadAnswer,
    /// Vault is out of reach, sealed, overloaded, or failed by itself.
    Unavailable,
    /// Time ran out.
    TimedOut,
    /// An answer, or all of them together, are larger than allowed.
    TooLarge,
    /// The key for the versions is not to be had.
    NoVersionKey,
    /// A fault of Coffer's own.
    Internal,
}

/// A failed read: what failed, where, in Vault's own words where it spoke, and what to do.
///
/// It never holds a secret byte and reads the same for the same fault, since it ends in Pod events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind, for the door's protocol.
    pub kind: ErrorKind,
    /// `objectName` of the object concerned.
    pub object: Option<String>,
    /// Vault's path concerned, without `/v1/`.
    pub path: Option<String>,
    /// What failed.
    pub message: String,
    /// Vault's own words.
    pub vault: Option<String>,
    /// What to do.
    pub advice: Option<String>,
}

impl Error {
    /// An error of this kind; the rest is added by the `with_` functions.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, object: None, path: None, message: message.into(), vault: None, advice: None }
    }

    /// A mistake in the SecretProviderClass.
    pub fn class(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidClass, message)
    }

    /// Names the object, unless one is named already.
    #[must_use]
    pub fn with_object(mut self, object: &str) -> Self {
        self.object.get_or_insert_with(|| object.to_owned());
        self
    }

    /// Names the path in Vault, unless one is named already.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Adds Vault's own words.
    #[must_use]
    pub fn with_vault(mut self, words: Option<String>) -> Self {
        self.vault = words;
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.object, &self.path) {
            (Some(object), Some(path)) => write!(f, "object {object:?} ({path}): ")?,
            (Some(object), None) => write!(f, "object {object:?}: ")?,
            (None, Some(path)) => write!(f, "{path}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        if let Some(words) = &self.vault {
            write!(f, "; Vault says: {words}")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, ". {advice}")?;
        }
        Ok(())
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};

    #[test]
    fn says_what_where_why_and_what_to_do() {
        let error = Error::new(ErrorKind::Denied, "Vault denied the read (HTTP 403)")
            .with_object("db")
            .with_path("secret/data/db")
            .with_vault(Some("permission denied".to_owned()))
            .with_advice("Allow it in a policy of the role");
        assert_eq!(
            error.to_string(),
            "object \"db\" (secret/data/db): Vault denied the read (HTTP 403); \
             Vault says: permission denied. Allow it in a policy of the role"
        );
    }
}
