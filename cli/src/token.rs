//! A service account's token from a file, in the form in which kubelet passes tokens on.

use std::path::{Path, PathBuf};
use std::{fs, io};

use coffer_provider::decode_text;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A service account's token. There is no `Debug`, because a token is as secret as a password.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceAccountToken {
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<String>,
}

/// Why a file gives no token.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is no text.
    #[error("the token file {} holds no token: it is not UTF-8", .0.display())]
    NotText(PathBuf),
    /// The file is empty.
    #[error("the token file {} is empty", .0.display())]
    Empty(PathBuf),
}

impl ServiceAccountToken {
    /// Reads a token from a file.
    pub(crate) fn read(file: &Path) -> Result<Self, TokenError> {
        let bytes = fs::read(file).map_err(|source| TokenError::File { file: file.to_owned(), source })?;
        // PowerShell writes UTF-16
        let text = decode_text(&bytes).map_err(|_| TokenError::NotText(file.to_owned()))?;
        match text.trim() {
            "" => Err(TokenError::Empty(file.to_owned())),
            token => Ok(Self::new(token)),
        }
    }

    /// Returns the token with this text, and with the expiry that its claims state, if any.
    pub(crate) fn new(token: &str) -> Self {
        let expiry = claims(token).and_then(|claims| claims.exp);
        // RFC 3339 ends with the year 9999
        let expiry = expiry.filter(|seconds| *seconds < 253_402_300_800);
        Self { token: token.to_owned(), expiration_timestamp: expiry.map(rfc3339) }
    }

    /// Returns the token itself.
    pub(crate) fn text(&self) -> &str {
        &self.token
    }

    /// Returns namespace and name of the service account that the token claims to be for.
    pub(crate) fn account(&self) -> Option<(String, String)> {
        let subject = claims(&self.token)?.sub?;
        let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        Some((namespace.to_owned(), name.to_owned()))
    }
}

/// The claims of a JWT that are used here.
#[derive(Deserialize)]
struct JwtClaims {
    exp: Option<u64>,
    sub: Option<String>,
}

fn claims(token: &str) -> Option<JwtClaims> {
    let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Formats seconds since 1970 as RFC 3339. The date is computed in eras of 400 years that begin on
/// 1 March of the year 0.
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_711_843_200, "2024-03-31T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_379_445, "2026-11-22T20:30:45Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }

    #[test]
    fn expiry_and_account_are_those_of_the_claims() {
        let jwt = format!("e30.{}.sig", BASE64URL_NOPAD.encode(br#"{"sub":"x","exp":1795379445}"#));
        assert_eq!(
            ServiceAccountToken::new(&jwt).expiration_timestamp.as_deref(),
            Some("2026-11-22T20:30:45Z")
        );
        assert_eq!(ServiceAccountToken::new(&jwt).account(), None);
        let jwt =
            format!("e30.{}.sig", BASE64URL_NOPAD.encode(br#"{"sub":"system:serviceaccount:shop:web"}"#));
        assert_eq!(ServiceAccountToken::new(&jwt).account(), Some(("shop".to_owned(), "web".to_owned())));
        for other in ["opaque", "a.b.c", "a.e30.c"] {
            assert_eq!(ServiceAccountToken::new(other).expiration_timestamp, None);
        }
    }
}
