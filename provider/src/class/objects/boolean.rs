//! Fields that are true or false.

use super::fields::ObjectFields;

/// A text that is neither. The message continues a sentence that begins with the name of the field.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither true nor false")]
pub(super) struct NoBoolean(String);

/// Returns the value of a field, in the spellings of YAML 1.2.
///
/// # Errors
/// [`NoBoolean`].
pub(super) fn boolean(fields: &ObjectFields, field: &str, default: bool) -> Result<bool, NoBoolean> {
    match fields.text(field) {
        None => Ok(default),
        Some("false" | "False" | "FALSE") => Ok(false),
        Some("true" | "True" | "TRUE") => Ok(true),
        Some(text) => Err(NoBoolean(text.to_owned())),
    }
}
