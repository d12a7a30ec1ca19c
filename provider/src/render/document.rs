//! Files with several keys: JSON, YAML, variables of a shell, Java properties.

mod environment;
mod properties;
mod yaml;

use std::borrow::Cow;

use coffer_vault::Secret;
use coffer_vault::json::{Escapes, JsonValue, write_string_with};

use self::environment::{is_variable_name, write_variable};
use self::properties::write_property;
use self::yaml::YamlWriter;
use super::key_name::{leave_out, shown};
use super::text::text_of;
use super::too_long;
use crate::class::DocumentFormat;
use crate::go_json::{self, TooLong};
use crate::{Error, ErrorKind};

/// The keys and values of a document, sorted by key.
pub(super) type DocumentMembers<'a> = [(Cow<'a, str>, JsonValue<'a>)];

/// Returns a document with these keys and values, of at most `limit` bytes.
///
/// # Errors
/// [`ErrorKind::BadAnswer`], if a key or value does not fit the format; [`ErrorKind::TooLarge`].
pub(super) fn map_document(
    format: DocumentFormat,
    members: &DocumentMembers<'_>,
    limit: usize,
) -> Result<Secret, Error> {
    let mut out = Secret::default();
    match format {
        DocumentFormat::Json => json_map(&mut out, members, limit).map_err(too_long)?,
        DocumentFormat::Yaml => {
            YamlWriter { out: &mut out, limit }.map_document(members).map_err(too_long)?;
        }
        DocumentFormat::Dotenv => variables(&mut out, "", members, limit)?,
        DocumentFormat::Shell => variables(&mut out, "export ", members, limit)?,
        DocumentFormat::Properties => properties(&mut out, members, limit)?,
    }
    Ok(out)
}

/// Returns a document with one value, which need not be a map; none if the format takes maps alone.
///
/// # Errors
/// [`ErrorKind::TooLarge`].
pub(super) fn value_document(
    format: DocumentFormat,
    value: JsonValue<'_>,
    limit: usize,
) -> Result<Option<Secret>, Error> {
    let mut out = Secret::default();
    match format {
        DocumentFormat::Json => {
            go_json::write_with(&mut out, value, Escapes::Required, limit).map_err(too_long)?;
            out.push(b"\n");
        }
        DocumentFormat::Yaml => YamlWriter { out: &mut out, limit }.document(value).map_err(too_long)?,
        DocumentFormat::Dotenv | DocumentFormat::Shell | DocumentFormat::Properties => return Ok(None),
    }
    Ok(Some(out))
}

fn json_map(out: &mut Secret, members: &DocumentMembers<'_>, limit: usize) -> Result<(), TooLong> {
    out.push(b"{");
    for (n, (key, value)) in members.iter().enumerate() {
        if n > 0 {
            out.push(b",");
        }
        write_string_with(out, key, Escapes::Required);
        out.push(b":");
        go_json::write_with(out, *value, Escapes::Required, limit)?;
    }
    out.push(b"}\n");
    within(out, limit)
}

fn variables(
    out: &mut Secret,
    before: &str,
    members: &DocumentMembers<'_>,
    limit: usize,
) -> Result<(), Error> {
    for (key, value) in members {
        if !is_variable_name(key) {
            let message = format!("key {} is no name of a variable: letters, digits and _ alone", shown(key));
            return Err(Error::new(ErrorKind::BadAnswer, message).with_advice(leave_out(key)));
        }
        let Some(text) = text_of(*value, limit)? else { continue };
        if text.expose().contains(&0) {
            let message = format!("the value of key {} holds a NUL, which no variable can", shown(key));
            return Err(Error::new(ErrorKind::BadAnswer, message).with_advice(leave_out(key)));
        }
        write_variable(out, before, key, &text, limit).map_err(too_long)?;
    }
    Ok(())
}

fn properties(out: &mut Secret, members: &DocumentMembers<'_>, limit: usize) -> Result<(), Error> {
    for (key, value) in members {
        let Some(text) = text_of(*value, limit)? else { continue };
        write_property(out, key, text.expose_str().unwrap_or_default(), limit).map_err(too_long)?;
    }
    Ok(())
}

/// Returns an error if a text is too long already.
fn within(out: &Secret, limit: usize) -> Result<(), TooLong> {
    if out.len() > limit { Err(TooLong(limit)) } else { Ok(()) }
}
