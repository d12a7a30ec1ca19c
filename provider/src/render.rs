//! Renders a file from an answer: selects the key, writes the value as Go does, and decodes the
//! value.

mod frames;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use coffer_vault::json::JsonValue;
use coffer_vault::{Answer, Envelope, Secret};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

pub(crate) use self::frames::Frames;
use crate::class::{Encoding, Object};
use crate::countdown::changing_fields;
use crate::go_json::{self, TooLong};
use crate::raw_endpoint::advice_without_data;
use crate::{Error, ErrorKind};

/// The content of a file.
pub(crate) struct Rendered {
    pub(crate) contents: Secret,
    basis: VersionBasis,
}

/// What the version of a file is computed from.
enum VersionBasis {
    /// A part of the contents.
    Part(Range<usize>),
    /// The data without what changes by itself.
    Steady(Secret),
}

impl Rendered {
    /// Returns the bytes from which the version is computed.
    pub(crate) fn hashed(&self) -> &[u8] {
        match &self.basis {
            VersionBasis::Part(range) => &self.contents.expose()[range.clone()],
            VersionBasis::Steady(data) => data.expose(),
        }
    }
}

/// An answer, prepared once for all objects with the same request.
pub(crate) struct Parsed<'a> {
    envelope: Envelope<'a>,
    data: Option<JsonValue<'a>>,
    /// The members of `data`.
    outer: Members<'a>,
    /// The members of the map `data` in `data`, if there is one.
    inner: Option<Members<'a>>,
}

/// The members of an object, sorted by key, so that each of many keys is found at once.
type Members<'a> = Vec<(Cow<'a, str>, JsonValue<'a>)>;

impl<'a> Parsed<'a> {
    pub(crate) fn new(answer: &'a Answer) -> Self {
        let envelope = answer.envelope();
        let data = envelope.field("data");
        let outer = data.map(JsonValue::sorted_members).unwrap_or_default();
        let inner = member(&outer, "data").filter(|inner| inner.is_object()).map(JsonValue::sorted_members);
        Self { envelope, data, outer, inner }
    }

    /// Returns about how many bytes the file of an object will have.
    pub(crate) fn length(&self, object: &Object) -> usize {
        let value = object.key.as_ref().map_or(self.data, |key| self.select(key));
        value.map_or(0, |value| value.raw().len())
    }

    /// Returns the value of a key. In a KV v2 answer the key is in the inner `data`. In other
    /// answers the key is in the outer `data`, else in a map there that is also called `data`.
    fn select(&self, key: &str) -> Option<JsonValue<'a>> {
        let inner = || member(self.inner.as_ref()?, key);
        if self.is_kv_v2() { inner() } else { member(&self.outer, key).or_else(inner) }
    }

    /// Returns whether the answer is of KV v2, which has `data`, `metadata` with a version, and no
    /// other member.
    fn is_kv_v2(&self) -> bool {
        let metadata = member(&self.outer, "metadata");
        self.outer.len() == 2
            && member(&self.outer, "data").is_some()
            && metadata.is_some_and(|metadata| metadata.member("version").is_some())
    }
}

fn member<'a>(members: &Members<'a>, key: &str) -> Option<JsonValue<'a>> {
    let at = members.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok()?;
    Some(members[at].1)
}

/// Renders the file of an object, of at most `limit` bytes. `frames` are those of the session.
///
/// # Errors
/// [`ErrorKind::NotFound`], if the answer has no such key; [`ErrorKind::BadAnswer`], if the value
/// cannot be decoded; [`ErrorKind::TooLarge`], if the file is larger than allowed.
pub(crate) fn render(
    object: &Object,
    parsed: &Parsed<'_>,
    frames: &Frames,
    limit: usize,
) -> Result<Rendered, Error> {
    let rendered = match (parsed.data, &object.key) {
        (None, _) => Err(Error::new(ErrorKind::NotFound, "Vault's answer holds no data")
            .with_advice(advice_without_data(&object.request.path))),
        (Some(data), None) => whole(object, parsed, data, frames, limit),
        (Some(_), Some(key)) => value(parsed, key, limit)
            .and_then(|value| decode(value, object.encoding))
            .map(|contents| Rendered { basis: VersionBasis::Part(0..contents.len()), contents }),
    };
    rendered.map_err(|error| error.with_object(object.file.as_str()).with_path(&object.request.path))
}

/// Returns the value of `key`: a string as its text, any other value as JSON.
fn value(parsed: &Parsed<'_>, key: &str, limit: usize) -> Result<Secret, Error> {
    let raw = parsed.select(key).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("the secret has no key {key:?}"))
            .with_advice("Check secretKey")
    })?;
    match raw.string() {
        Some(text) => Ok(text),
        None => {
            let mut text = Secret::default();
            go_json::write(&mut text, raw, limit).map_err(too_long)?;
            Ok(text)
        }
    }
}

/// Decodes a value as Go does for the incumbent. Go's base64 decoder skips line breaks.
fn decode(value: Secret, encoding: Encoding) -> Result<Secret, Error> {
    let decoded = match encoding {
        Encoding::Utf8 => return Ok(value),
        Encoding::Base64 => {
            let mut text = value;
            if text.expose().iter().any(|b| matches!(b, b'\r' | b'\n')) {
                let mut kept = Secret::new(Vec::with_capacity(text.len()));
                text.expose().split(|b| matches!(b, b'\r' | b'\n')).for_each(|line| kept.push(line));
                text = kept;
            }
            BASE64.decode(text.expose())
        }
        Encoding::Hex => HEXLOWER_PERMISSIVE.decode(value.expose()),
    };
    let name = if encoding == Encoding::Hex { "hexadecimal" } else { "base64" };
    decoded.map(Secret::new).map_err(|_| {
        Error::new(ErrorKind::BadAnswer, format!("the value is not {name}"))
            .with_advice("Check secretKey and encoding")
    })
}

/// Renders a whole response, with the fields of the struct `Secret` of Vault's Go client in their
/// order.
fn whole(
    object: &Object,
    parsed: &Parsed<'_>,
    data: JsonValue<'_>,
    frames: &Frames,
    limit: usize,
) -> Result<Rendered, Error> {
    let mut text = Secret::default();
    go_json::write(&mut text, data, limit).map_err(too_long)?;
    let steady = steady(&object.request.path, &parsed.envelope, data, limit)?;
    let frame = frames.frame(object, steady.as_ref().unwrap_or(&text), &parsed.envelope, limit)?;
    let mut contents = Secret::new(Vec::with_capacity(frame.before.len() + text.len() + frame.after.len()));
    contents.push(frame.before.expose());
    let from = contents.len();
    contents.push(text.expose());
    let basis = steady.map_or(VersionBasis::Part(from..contents.len()), VersionBasis::Steady);
    contents.push(frame.after.expose());
    Ok(Rendered { contents, basis })
}

/// Returns the data without what changes by itself; none if nothing does.
fn steady(
    path: &str,
    envelope: &Envelope<'_>,
    data: JsonValue<'_>,
    limit: usize,
) -> Result<Option<Secret>, Error> {
    let changing = changing_fields(path, envelope, data);
    if changing.is_empty() {
        return Ok(None);
    }
    let mut steady = Secret::default();
    go_json::write_without(&mut steady, data, changing, limit).map_err(too_long)?;
    Ok(Some(steady))
}

fn too_long(error: TooLong) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the file is {error}"))
        .with_advice("Split the class, or raise the limit")
}
