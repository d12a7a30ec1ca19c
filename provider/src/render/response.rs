//! Whole responses.

use coffer_vault::json::JsonValue;
use coffer_vault::{Envelope, Secret};

use super::frames::Frames;
use super::parsed::Parsed;
use super::{Rendered, VersionBasis, too_long};
use crate::Error;
use crate::class::Object;
use crate::countdown::changing_fields;
use crate::go_json;

/// Renders a whole response, with the fields of the struct `Secret` of Vault's Go client in their
/// order.
pub(super) fn whole_response(
    object: &Object,
    path: &str,
    parsed: &Parsed<'_>,
    data: JsonValue<'_>,
    frames: &Frames,
    limit: usize,
) -> Result<Rendered, Error> {
    let mut text = Secret::default();
    go_json::write(&mut text, data, limit).map_err(too_long)?;
    let steady = steady(path, &parsed.envelope, data, limit)?;
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
