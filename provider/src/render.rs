//! Renders a file from an answer: selects the key, writes the value as Go does, and decodes the
//! value.

mod document;
mod frames;
mod members;
mod part;
mod pem;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;
use std::ops::Range;

use coffer_vault::json::{Escapes, JsonValue};
use coffer_vault::{Answer, Envelope, Secret};

use self::document::{leave_out, map_document, value_document};
pub(crate) use self::frames::Frames;
use self::members::{Null, members_of};
pub(crate) use self::part::RenderBudget;
use self::part::{with_map, with_part};
use self::pem::pem_blocks;
use self::text::{decode, value_text};
use crate::class::{DocumentFormat, Encoding, KeyFilter, Object, Output, Part};
use crate::countdown::changing_fields;
use crate::go_json::{self, TooLong};
use crate::raw_endpoint::advice_without_data;
use crate::{Error, ErrorKind};

/// Maximum number of files of a mount.
pub(crate) const MAX_FILES: usize = 1000;

/// A file.
pub(crate) struct Rendered {
    /// The path in the volume.
    pub(crate) path: String,
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
    fn new(path: &str, contents: Secret) -> Self {
        Self { path: path.to_owned(), basis: VersionBasis::Part(0..contents.len()), contents }
    }

    /// Returns the bytes from which the version is computed.
    pub(crate) fn hashed(&self) -> &[u8] {
        match &self.basis {
            VersionBasis::Part(range) => &self.contents.expose()[range.clone()],
            VersionBasis::Steady(data) => data.expose(),
        }
    }
}

/// What all files of a read are rendered with.
pub(crate) struct RenderContext<'a> {
    /// The frames of the session.
    pub(crate) frames: &'a Frames,
    pub(crate) budget: &'a RenderBudget,
    /// Maximum length of a file, in bytes.
    pub(crate) limit: usize,
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

    /// Returns the data: without the metadata of KV v2.
    fn secret_data(&self) -> Option<JsonValue<'a>> {
        let data = if self.is_kv_v2() { member(&self.outer, "data") } else { self.data };
        data.filter(|data| !data.is_null())
    }

    /// Returns about how many bytes the files of an object will have, or more.
    pub(crate) fn length(&self, object: &Object) -> usize {
        let value = match &object.output {
            Output::Value { part, .. } | Output::Document { part, .. } | Output::Files { part, .. } => {
                part.key.as_ref().map_or(self.data, |key| self.select(key))
            }
            Output::Response | Output::Pem { .. } => self.data,
        };
        value.map_or(0, JsonValue::text_length)
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

/// Renders the file of an object, or its files, each of at most `limit` bytes. An optional object
/// whose data is not in the answer has none.
///
/// # Errors
/// [`ErrorKind::NotFound`], if the answer lacks what the object names; [`ErrorKind::BadAnswer`], if
/// the data does not fit the format; [`ErrorKind::TooLarge`], if a file is larger than allowed.
pub(crate) fn render(
    object: &Object,
    parsed: &Parsed<'_>,
    session: &RenderContext<'_>,
) -> Result<Vec<Rendered>, Error> {
    match rendered(object, parsed, session) {
        Err(error) if error.kind == ErrorKind::NotFound && object.is_optional => Ok(Vec::new()),
        Err(error) => Err(error.with_object(object.name()).with_path(&object.request.path)),
        files => files,
    }
}

fn rendered(
    object: &Object,
    parsed: &Parsed<'_>,
    context: &RenderContext<'_>,
) -> Result<Vec<Rendered>, Error> {
    let RenderContext { frames, budget, limit } = *context;
    let contents = match &object.output {
        Output::Response => {
            let data = parsed.data.ok_or_else(|| no_data(object))?;
            return whole(object, parsed, data, frames, limit).map(|file| vec![file]);
        }
        Output::Value { part: Part { key: Some(key), pointer: None }, encoding } => {
            // as the incumbent does: null is a value
            let data = parsed.data.ok_or_else(|| no_data(object));
            let value = data.and_then(|_| parsed.select(key).ok_or_else(|| missing(key)))?;
            decode(value_text(value, Escapes::Go, limit)?, *encoding)
        }
        Output::Value { part, encoding } => with_part(parsed, part, budget, &mut |value| {
            decode(value_text(value, Escapes::Required, limit)?, *encoding)
        }),
        Output::Document { format, part, keys } => {
            with_part(parsed, part, budget, &mut |value| document(*format, keys, value, budget, limit))
        }
        Output::Pem { keys, part } => {
            with_part(parsed, part, budget, &mut |value| pem_blocks(keys, value, parsed))
        }
        Output::Files { part, keys, encoding } => {
            return with_part(parsed, part, budget, &mut |value| {
                with_map(value, budget, &mut |map| files(object, map, keys, *encoding, context))
            });
        }
    };
    let contents = contents?;
    Ok(vec![Rendered::new(object.name(), contents)])
}

fn document(
    format: DocumentFormat,
    keys: &KeyFilter,
    value: JsonValue<'_>,
    budget: &RenderBudget,
    limit: usize,
) -> Result<Secret, Error> {
    if keys.takes_all()
        && let Some(document) = value_document(format, value, limit)?
    {
        return Ok(document);
    }
    let null = match format {
        DocumentFormat::Json | DocumentFormat::Yaml => Null::Value,
        DocumentFormat::Dotenv | DocumentFormat::Shell | DocumentFormat::Properties => Null::Missing,
    };
    with_map(value, budget, &mut |map| map_document(format, &members_of(map, keys, null, budget)?, limit))
}

/// Returns a file for each key of a map.
fn files(
    object: &Object,
    map: JsonValue<'_>,
    keys: &KeyFilter,
    encoding: Encoding,
    context: &RenderContext<'_>,
) -> Result<Vec<Rendered>, Error> {
    let members = members_of(map, keys, Null::Missing, context.budget)?;
    if members.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "the secret has no key that would be a file")
            .with_advice("Check include and exclude, or make the object optional"));
    }
    if members.len() > MAX_FILES {
        return Err(too_many_files(members.len()));
    }
    let mut files = Vec::with_capacity(members.len());
    for (key, value) in members {
        let path = object.place.file_of_key(&key).map_err(|bad| {
            Error::new(ErrorKind::BadAnswer, format!("key {key:?} is no name of a file: it {bad}"))
                .with_advice(leave_out(&key))
        })?;
        let contents = value_text(value, Escapes::Required, context.limit)
            .and_then(|text| decode(text, encoding))
            .map_err(|error| Error { message: format!("key {key:?}: {}", error.message), ..error })?;
        files.push(Rendered::new(path.as_str(), contents));
    }
    Ok(files)
}

/// Returns the error for more files than a mount may have.
pub(crate) fn too_many_files(count: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("there would be {count} files, more than {MAX_FILES}"))
        .with_advice("Take fewer keys with include and exclude, or split the class")
}

/// Returns the error for a key that is not in a secret.
pub(super) fn missing(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("the secret has no key {key:?}")).with_advice("Check secretKey")
}

fn no_data(object: &Object) -> Error {
    Error::new(ErrorKind::NotFound, "Vault's answer holds no data")
        .with_advice(advice_without_data(&object.request.path))
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
    Ok(Rendered { path: object.name().to_owned(), contents, basis })
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
