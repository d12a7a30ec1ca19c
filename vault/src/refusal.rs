//! What Vault says in an answer with an error status.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::Secret;
use crate::failure::Refusal;
use crate::json::{JsonValue, strings};

/// Maximum length of Vault's own words in an error, in characters.
const MAX_WORDS: usize = 400;

/// Maximum length of the error text that is searched for secrets, in characters. A server that is
/// not Vault may send much more.
const MAX_SEARCHED: usize = 4096;

/// Maximum number of secrets that the error text is searched for.
const MAX_SECRETS: usize = 256;

/// What Vault's words must not repeat.
pub(crate) struct Confidential<'a> {
    pub(crate) secrets: &'a [Secret],
    /// The JSON arguments of the request, whose strings must not be repeated.
    pub(crate) arguments: Option<&'a Secret>,
}

/// Reads an error status, headers, and the fields of the body. What is confidential is cut from
/// Vault's words.
pub(crate) fn refusal(
    status: u16,
    headers: &HeaderMap,
    fields: Option<JsonValue<'_>>,
    confidential: &Confidential<'_>,
) -> Refusal {
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Refusal {
        status,
        is_vaults: fields.is_some_and(is_vaults),
        words: fields.and_then(|fields| words(fields, confidential)),
        retry_after: retry_after.map(Duration::from_secs),
        deleted: fields.filter(|_| status == 404).and_then(deleted),
    }
}

/// Returns whether a body is one that Vault sends with an error status: a list of texts `errors`,
/// the metadata of a deleted version in `data`, or a response without data, which has warnings. The
/// last comes for a path of KV v2 without `data/`.
fn is_vaults(fields: JsonValue<'_>) -> bool {
    let errors = fields.member("errors").filter(|errors| errors.is_array());
    let metadata = || fields.member("data")?.member("metadata");
    let is_response = || ["request_id", "lease_id"].iter().all(|name| fields.member(name).is_some());
    errors.is_some_and(|errors| errors.items().all(JsonValue::is_string))
        || metadata().is_some_and(|metadata| metadata.member("version").is_some())
        || is_response()
}

/// Returns Vault's `errors` on one line, shortened, without what is confidential.
fn words(fields: JsonValue<'_>, confidential: &Confidential<'_>) -> Option<String> {
    let errors = fields.member("errors").filter(|errors| errors.is_array())?;
    let mut said = String::new();
    for error in errors.items() {
        let text = error.string()?;
        let separator = if said.is_empty() { "" } else { "; " };
        said.extend(separator.chars().chain(text.expose_str()?.chars().take(MAX_SEARCHED)));
        if said.len() > MAX_SEARCHED {
            said = said.chars().take(MAX_SEARCHED).collect();
            break;
        }
    }
    let mut secrets = confidential.arguments.map(strings).unwrap_or_default();
    secrets.extend_from_slice(confidential.secrets);
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
fn deleted(fields: JsonValue<'_>) -> Option<String> {
    let metadata = fields.member("data")?.member("metadata")?;
    let version: u64 = metadata.member("version")?.raw().parse().ok()?;
    if metadata.member("destroyed").is_some_and(|destroyed| destroyed.raw() == "true") {
        return Some(format!("version {version} was destroyed"));
    }
    let at = metadata.member("deletion_time").and_then(JsonValue::string).unwrap_or_default();
    let at: String =
        at.expose_str().unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
    (!at.is_empty()).then(|| format!("version {version} was deleted at {at}"))
}
