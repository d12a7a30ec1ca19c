//! Renders a file from an answer: selects the key, writes the value as Go does, and decodes the
//! value.

mod document;
mod frames;
mod key_name;
mod members;
mod parsed;
mod part;
mod pem;
mod response;
mod template;
#[cfg(test)]
mod tests;
mod text;

use std::ops::Range;

use coffer_vault::Secret;
use coffer_vault::json::{Escapes, JsonValue};

use self::document::{map_document, value_document};
pub(crate) use self::frames::Frames;
use self::key_name::{leave_out, shown};
use self::members::{Null, members_of};
pub(crate) use self::parsed::Parsed;
pub(crate) use self::part::{FilesBudget, TemplateSteps};
use self::part::{with_map, with_part};
use self::pem::pem_blocks;
use self::response::whole_response;
use self::template::of_template;
use self::text::{decode, value_text};
use crate::class::{DocumentFormat, Encoding, JsonPointer, KeyFilter, Object, Output, Part, Source};
use crate::countdown::changing_fields;
use crate::go_json::TooLong;
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

    /// Sets the bytes from which the version is computed, if the contents change by themselves.
    fn with_steady(mut self, steady: Option<Secret>) -> Self {
        self.basis = steady.map_or(self.basis, VersionBasis::Steady);
        self
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
    pub(crate) budget: &'a FilesBudget,
    /// Maximum length of a file, in bytes.
    pub(crate) limit: usize,
}

/// Returns about how many bytes the files of an object will have, or more.
pub(crate) fn length(object: &Object, answers: &[&Parsed<'_>]) -> usize {
    match &object.source {
        Source::Answer { output, .. } => answers[0].length(output),
        // the steps of its budget bound it
        Source::Template(_) => 0,
    }
}

/// Renders the file of an object, or its files, each of at most `limit` bytes. An optional object
/// whose data is not in the answer has none.
///
/// # Errors
/// [`ErrorKind::NotFound`], if the answer lacks what the object names; [`ErrorKind::BadAnswer`], if
/// the data does not fit the format; [`ErrorKind::TooLarge`], if a file is larger than allowed.
pub(crate) fn render(
    object: &Object,
    answers: &[&Parsed<'_>],
    context: &RenderContext<'_>,
) -> Result<Vec<Rendered>, Error> {
    let rendered = match &object.source {
        Source::Answer { request, output } => {
            let rendered = of_answer(object, &request.path, output, answers[0], context);
            rendered.map_err(|error| error.with_path(&request.path))
        }
        Source::Template(template) => of_template(object, template, answers, context).map(|file| vec![file]),
    };
    match rendered {
        Err(error) if error.kind == ErrorKind::NotFound && object.is_optional => Ok(Vec::new()),
        Err(error) => Err(error.with_object(object.name())),
        files => files,
    }
}

fn of_answer(
    object: &Object,
    path: &str,
    output: &Output,
    parsed: &Parsed<'_>,
    context: &RenderContext<'_>,
) -> Result<Vec<Rendered>, Error> {
    let RenderContext { frames, budget, limit } = *context;
    let no_data = || {
        Error::new(ErrorKind::NotFound, "Vault's answer holds no data").with_advice(advice_without_data(path))
    };
    let contents = match output {
        Output::Response => {
            let data = parsed.data.ok_or_else(no_data)?;
            return whole_response(object, path, parsed, data, frames, limit).map(|file| vec![file]);
        }
        Output::Value { part: Part { key: Some(key), pointer: None }, encoding } => {
            // as the incumbent does: null is a value
            let data = parsed.data.ok_or_else(no_data);
            let value = data.and_then(|_| parsed.select(key).ok_or_else(|| missing(key)))?;
            decode(value_text(value, Escapes::Go, limit)?, *encoding)
        }
        Output::Value { part, encoding } => with_part(parsed, part, budget, &mut |value| {
            decode(value_text(value, Escapes::Required, limit)?, *encoding)
        }),
        Output::Document { format, part, keys } => {
            let changing = unasked_changing(path, parsed, part, keys);
            return with_part(parsed, part, budget, &mut |value| {
                let contents = document(*format, keys, &[], value, budget, limit)?;
                let steady = || document(*format, keys, &changing, value, budget, limit);
                let steady = (!changing.is_empty()).then(steady).transpose()?;
                Ok(vec![Rendered::new(object.name(), contents).with_steady(steady)])
            });
        }
        Output::Pem { keys, part } => {
            with_part(parsed, part, budget, &mut |value| pem_blocks(keys, value, parsed))
        }
        Output::Files { part, keys, encoding } => {
            let changing = unasked_changing(path, parsed, part, keys);
            return with_part(parsed, part, budget, &mut |value| {
                with_map(value, budget, &mut |map| files(object, map, keys, *encoding, &changing, context))
            });
        }
    };
    Ok(vec![Rendered::new(object.name(), contents?)])
}

/// Returns the keys of the data that change by themselves, without those that the object asks for by
/// name.
fn unasked_changing(path: &str, parsed: &Parsed<'_>, part: &Part, keys: &KeyFilter) -> Vec<&'static str> {
    let is_whole = part.key.is_none() && part.pointer.as_ref().is_none_or(JsonPointer::is_whole);
    let Some(data) = parsed.data.filter(|_| is_whole) else { return Vec::new() };
    let changing = changing_fields(path, &parsed.envelope, data).iter().copied();
    changing.filter(|key| keys.needed().all(|needed| needed != *key)).collect()
}

/// Returns the document of a value, without the keys in `without`.
fn document(
    format: DocumentFormat,
    keys: &KeyFilter,
    without: &[&str],
    value: JsonValue<'_>,
    budget: &FilesBudget,
    limit: usize,
) -> Result<Secret, Error> {
    if keys.takes_all()
        && without.is_empty()
        && let Some(document) = value_document(format, value, limit)?
    {
        return Ok(document);
    }
    let null = match format {
        DocumentFormat::Json | DocumentFormat::Yaml => Null::Value,
        DocumentFormat::Dotenv | DocumentFormat::Shell | DocumentFormat::Properties => Null::Missing,
    };
    with_map(value, budget, &mut |map| {
        let mut members = members_of(map, keys, null, budget)?;
        members.retain(|(key, _)| !without.contains(&key.as_ref()));
        map_document(format, &members, limit)
    })
}

/// Returns a file for each key of a map. The versions of those in `changing` never change.
fn files(
    object: &Object,
    map: JsonValue<'_>,
    keys: &KeyFilter,
    encoding: Encoding,
    changing: &[&str],
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
            Error::new(ErrorKind::BadAnswer, format!("key {} is no name of a file: it {bad}", shown(&key)))
                .with_advice(leave_out(&key))
        })?;
        let contents = value_text(value, Escapes::Required, context.limit)
            .and_then(|text| decode(text, encoding))
            .map_err(|error| Error { message: format!("key {}: {}", shown(&key), error.message), ..error })?;
        let steady = changing.contains(&key.as_ref()).then(Secret::default);
        files.push(Rendered::new(path.as_str(), contents).with_steady(steady));
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

fn too_long(error: TooLong) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the file is {error}"))
        .with_advice("Split the class, or raise the limit")
}
