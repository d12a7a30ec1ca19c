//! The error of a read. Each door maps [`ErrorKind`] to its protocol.

use std::error::Error as StdError;
use std::fmt::{self, Write};

use coffer_vault::PrintableWriter;

/// The kind of an error, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request of the driver or API client is malformed.
    InvalidRequest,
    /// The SecretProviderClass is wrong; the message names parameter, object and line.
    InvalidClass,
    /// The configuration of the process is wrong, and the operator has to correct it.
    Misconfigured,
    /// There is no service account token for the login.
    NoToken,
    /// Vault refused the login.
    LoginRefused,
    /// Vault knows the token, and denied the read.
    Denied,
    /// The operator's policy forbids what the class names.
    RefusedByPolicy,
    /// Vault would issue something, and the read does not allow that.
    Issues,
    /// The path has no secret, the version was deleted, or the secret has no such key.
    NotFound,
    /// Vault answered with something that cannot be used.
    BadAnswer,
    /// Vault cannot be reached, is sealed or overloaded, or failed.
    Unavailable,
    /// The deadline passed.
    TimedOut,
    /// An answer, or all files together, are larger than allowed.
    TooLarge,
    /// The namespace uses as much of memory, sessions or targets as it may.
    OverLimit,
    /// The key of the versions cannot be read.
    NoVersionKey,
    /// An error in Coffer.
    Internal,
}

/// The policy or limit that refused a read. Its error says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The operator's policy forbids what the class names.
    Policy,
    /// The API server may not contact the address that the class names.
    Address,
    /// The namespace's part of the memory is used up.
    Memory,
    /// The namespace's part of the memory for what Vault issued is used up.
    Issued,
    /// The namespace has as many sessions as it may.
    Sessions,
    /// The namespace uses as many targets as it may.
    Targets,
    /// The read waited for its turn until its time was over.
    Turns,
    /// As many requests of the user, or for the namespace, are being answered as may be at once.
    Requests,
}

impl RefusalReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Policy,
        Self::Address,
        Self::Memory,
        Self::Issued,
        Self::Sessions,
        Self::Targets,
        Self::Turns,
        Self::Requests,
    ];

    /// Returns the word for it in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Address => "address",
            Self::Memory => "memory",
            Self::Issued => "issued",
            Self::Sessions => "sessions",
            Self::Targets => "targets",
            Self::Turns => "turns",
            Self::Requests => "requests",
        }
    }
}

/// A failed read: object, path, message, Vault's own words, and advice.
///
/// An error never holds a secret byte. The same fault gives the same text, since errors end in Pod
/// events, which Kubernetes counts by their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind, for the door's protocol.
    pub kind: ErrorKind,
    /// The policy or limit that refused the read; none for other failures.
    pub refused: Option<RefusalReason>,
    /// The `objectName` of the object that failed.
    pub object: Option<String>,
    /// The path in Vault, without `/v1/`.
    pub path: Option<String>,
    /// The message.
    pub message: String,
    /// Vault's own error text.
    pub vault: Option<String>,
    /// The advice what to do.
    pub advice: Option<String>,
    /// What the operator alone may know, such as why a server of a class's own cannot be reached:
    /// a class must not scan the agent's network. Printed by `{:#}` only.
    pub detail: Option<Box<str>>,
}

impl Error {
    /// Returns an error with kind and message only.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            kind,
            refused: None,
            object: None,
            path: None,
            message,
            vault: None,
            advice: None,
            detail: None,
        }
    }

    /// Returns an error of kind [`ErrorKind::OverLimit`].
    pub fn over_limit(limit: RefusalReason, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::OverLimit, message).refused_for(limit)
    }

    /// Returns the error for a mistake in the SecretProviderClass.
    pub fn class(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidClass, message)
    }

    /// Sets the policy or limit that refused the read.
    #[must_use]
    pub fn refused_for(mut self, reason: RefusalReason) -> Self {
        self.refused = Some(reason);
        self
    }

    /// Sets the object, unless the error already names an object.
    #[must_use]
    pub fn with_object(mut self, object: &str) -> Self {
        self.object.get_or_insert_with(|| object.to_owned());
        self
    }

    /// Sets the path in Vault, unless the error already names a path.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Sets Vault's own error text.
    #[must_use]
    pub fn with_vault(mut self, words: Option<String>) -> Self {
        self.vault = words;
        self
    }

    /// Sets what the operator alone may know.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// Sets the advice what to do.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// Prints the error on one line. Parts of it were written by the class's author, or by a server
/// that the class names. The alternate form is for the log of the operator.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_detail = f.alternate();
        let mut f = PrintableWriter(f);
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
        if let Some(detail) = self.detail.as_ref().filter(|_| with_detail) {
            write!(f, "; in detail: {detail}")?;
        }
        Ok(())
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};

    #[test]
    fn the_text_has_object_path_message_vaults_words_and_advice() {
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

    #[test]
    fn what_others_wrote_is_shown_on_one_line() {
        let error = Error::new(ErrorKind::BadAnswer, "answered with \u{1b}[2Jx")
            .with_object("a\nb")
            .with_path("x/\u{202e}y")
            .with_vault(Some("no\r\u{2028}entry".to_owned()))
            .with_advice("ask\u{200b}");
        assert_eq!(
            error.to_string(),
            "object \"a\\nb\" (x/\\u{202e}y): answered with \\u{1b}[2Jx; \
             Vault says: no\\r\\u{2028}entry. ask\\u{200b}"
        );
    }

    #[test]
    fn what_the_operator_alone_may_know_is_in_the_alternate_form() {
        let error = Error::new(ErrorKind::Unavailable, "away").with_detail("refused\n");
        assert_eq!(error.to_string(), "away");
        assert_eq!(format!("{error:#}"), "away; in detail: refused\\n");
    }
}
