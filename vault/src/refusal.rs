//! What Vault says in an answer with an error status.

use std::ops::Range;
use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::Secret;
use crate::failure::Refusal;
use crate::json::{Escapes, JsonValue, strings, write_string_with};

/// Maximum length of Vault's own words in an error, in characters.
const MAX_WORDS: usize = 400;

/// Maximum length of the error text that is searched for secrets, in bytes. A server that is not
/// Vault may send much more.
const MAX_SEARCHED: usize = 8 << 10;

/// Maximum number of texts that the error text is searched for.
const MAX_SECRETS: usize = 256;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

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
        said += if said.is_empty() { "" } else { "; " };
        said += text.expose_str()?;
    }
    let mut secrets = confidential.arguments.map(strings).unwrap_or_default();
    secrets.extend_from_slice(confidential.secrets);
    let texts = secrets.iter().filter_map(Secret::expose_str);
    let forms: Vec<Secret> = texts.take(MAX_SECRETS + 1).flat_map(forms).collect();
    if forms.len() > MAX_SECRETS {
        return Some("(left out: too many arguments to look for in it)".to_owned());
    }
    let mut shown = said.len();
    if shown > MAX_SEARCHED {
        said.truncate(said.floor_char_boundary(MAX_SEARCHED));
        // at the cut may be the beginning of a secret
        let longest = forms.iter().map(Secret::len).max().unwrap_or(0);
        shown = said.floor_char_boundary(said.len().saturating_sub(longest));
    }
    let line = on_one_line(&redacted(&said, shown, &forms));
    // a second time, since a line break in a secret may be a space now
    let parts: Vec<_> = line.split(REDACTED).map(|part| redacted(part, part.len(), &forms)).collect();
    let line = parts.join(REDACTED);
    let short: String = line.chars().take(MAX_WORDS).collect();
    Some(short).filter(|words| !words.is_empty())
}

/// Returns the forms in which an error text may have a secret: as it is, on one line, and with the
/// escapes of a text in quotes.
fn forms(secret: &str) -> Vec<Secret> {
    let mut forms = vec![Secret::from(secret), Secret::new(on_one_line(secret))];
    for escapes in [Escapes::Required, Escapes::Go] {
        let mut quoted = Secret::default();
        write_string_with(&mut quoted, secret, escapes);
        forms.push(Secret::new(&quoted.expose()[1..quoted.len() - 1]));
    }
    forms.dedup_by(|one, other| one.expose() == other.expose());
    forms.retain(|form| !form.is_empty());
    forms
}

fn on_one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the first `shown` bytes of a text, in which each part that belongs to a secret is
/// replaced. Secrets may overlap.
fn redacted(text: &str, shown: usize, secrets: &[Secret]) -> String {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for secret in secrets.iter().filter_map(Secret::expose_str) {
        parts.extend(text.match_indices(secret).map(|(at, found)| at..at + found.len()));
    }
    parts.sort_unstable_by_key(|part| part.start);
    let (mut out, mut done) = (String::with_capacity(shown), 0);
    for part in parts.into_iter().take_while(|part| part.start < shown) {
        if part.start >= done {
            out.push_str(&text[done..part.start]);
            out.push_str(REDACTED);
        }
        done = done.max(part.end);
    }
    out.push_str(text.get(done..shown).unwrap_or_default());
    out
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
