//! One value as the bytes of a file.

use std::sync::LazyLock;

use coffer_vault::Secret;
use coffer_vault::json::{Escapes, JsonValue};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use super::too_long;
use crate::class::Encoding;
use crate::go_json::write_with;
use crate::{Error, ErrorKind};

/// Returns a value as text of at most `limit` bytes: a string as it is, any other value as compact
/// JSON with sorted keys; none for `null`.
///
/// # Errors
/// [`ErrorKind::TooLarge`].
pub(super) fn text_of(value: JsonValue<'_>, limit: usize) -> Result<Option<Secret>, Error> {
    if value.is_null() {
        return Ok(None);
    }
    value_text(value, Escapes::Required, limit).map(Some)
}

/// Returns a value as text of at most `limit` bytes: a string as it is, any other value, `null` too,
/// as compact JSON with sorted keys and these escapes.
///
/// # Errors
/// [`ErrorKind::TooLarge`].
pub(super) fn value_text(value: JsonValue<'_>, escapes: Escapes, limit: usize) -> Result<Secret, Error> {
    if let Some(text) = value.string() {
        return Ok(text);
    }
    let mut text = Secret::default();
    write_with(&mut text, value, escapes, limit).map_err(too_long)?;
    Ok(text)
}

/// Base64 as Go reads it: the bits after the last byte may be anything.
static GO_BASE64: LazyLock<data_encoding::Encoding> = LazyLock::new(|| {
    let mut rules = BASE64.specification();
    rules.check_trailing_bits = false;
    rules.encoding().unwrap_or(BASE64)
});

/// Decodes a value as Go does for the incumbent. Go's base64 decoder skips line breaks.
///
/// # Errors
/// [`ErrorKind::BadAnswer`].
pub(super) fn decode(value: Secret, encoding: Encoding) -> Result<Secret, Error> {
    let decoded = match encoding {
        Encoding::Utf8 => return Ok(value),
        Encoding::Base64 => {
            let mut text = value;
            if text.expose().iter().any(|b| matches!(b, b'\r' | b'\n')) {
                let mut kept = Secret::new(Vec::with_capacity(text.len()));
                text.expose().split(|b| matches!(b, b'\r' | b'\n')).for_each(|line| kept.push(line));
                text = kept;
            }
            GO_BASE64.decode(text.expose())
        }
        Encoding::Hex => HEXLOWER_PERMISSIVE.decode(value.expose()),
    };
    let name = if encoding == Encoding::Hex { "hexadecimal" } else { "base64" };
    decoded.map(Secret::new).map_err(|_| {
        Error::new(ErrorKind::BadAnswer, format!("the value is not {name}"))
            .with_advice("Check secretKey and encoding")
    })
}
