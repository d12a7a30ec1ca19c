//! What Vault says in an answer with an error status.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Secret;
use crate::failure::Refusal;
use crate::json::{self, RawObject};

/// Maximum length of Vault's own words in an error, in characters.
const MAX_WORDS: usize = 400;

/// Maximum length of the error text that is searched for secrets, in characters. A server that is
/// not Vault may send much more.
const MAX_SEARCHED: usize = 4096;

/// Maximum number of secrets that the error text is searched for.
const MAX_SECRETS: usize = 256;

/// Reads an error status, headers and body. `secrets` are cut from Vault's words.
pub(crate) fn refusal(status: u16, headers: &HeaderMap, body: &Secret, secrets: &[Secret]) -> Refusal {
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let fields = serde_json::from_slice::<&RawValue>(body.expose()).ok().and_then(json::object);
    Refusal {
        status,
        words: fields.as_ref().and_then(|fields| words(fields, secrets)),
        retry_after: retry_after.map(Duration::from_secs),
        deleted: fields.as_ref().filter(|_| status == 404).and_then(deleted),
    }
}

/// Returns Vault's `errors` on one line, shortened, without the values of `secrets`.
fn words(fields: &RawObject<'_>, secrets: &[Secret]) -> Option<String> {
    let errors: Vec<String> = serde_json::from_str(fields.get("errors")?.get()).ok()?;
    let said: String = errors.join("; ").chars().take(MAX_SEARCHED).collect();
    if secrets.len() > MAX_SECRETS {
        return Some("(left out: too many arguments to look for in it)".to_owned());
    }
    let secrets = secrets.iter().filter_map(Secret::expose_str).filter(|secret| !secret.is_empty());
    let words = secrets.fold(said, |words, secret| {
        let cut = words.len();
        let mut without = words.replace(secret, "[redacted]");
        // a secret that is part of "[redacted]" must not make the text longer and longer
        while without.len() > cut {
            without.pop();
        }
        without
    });
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(MAX_WORDS).collect();
    Some(short).filter(|words| !words.is_empty())
}

/// Returns what happened to a version that was deleted or destroyed. KV v2 answers with HTTP 404
/// then, and with metadata in place of the data.
fn deleted(fields: &RawObject<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct VersionMetadata {
        version: u64,
        #[serde(default)]
        deletion_time: String,
        #[serde(default)]
        destroyed: bool,
    }

    let data = json::object(fields.get("data")?)?;
    let metadata: VersionMetadata = serde_json::from_str(data.get("metadata")?.get()).ok()?;
    let version = metadata.version;
    if metadata.destroyed {
        return Some(format!("version {version} was destroyed"));
    }
    let at: String = metadata.deletion_time.chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
    (!at.is_empty()).then(|| format!("version {version} was deleted at {at}"))
}
