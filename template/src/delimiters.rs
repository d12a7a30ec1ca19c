//! The delimiters of a template's actions.

/// Maximum length of a delimiter, in bytes.
const MAX_DELIMITER: usize = 16;

/// What begins and ends an action: `{{` and `}}`, if a class names no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiters {
    pub(crate) left: String,
    pub(crate) right: String,
}

/// A delimiter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a delimiter: it has 1 to 16 ASCII characters without white space")]
pub struct BadDelimiter(pub String);

impl Default for Delimiters {
    fn default() -> Self {
        Self { left: "{{".to_owned(), right: "}}".to_owned() }
    }
}

impl Delimiters {
    /// Returns these delimiters. An empty one is the default, as in Go.
    ///
    /// # Errors
    /// [`BadDelimiter`], if one is longer than 16 bytes, or has other characters than printable
    /// ASCII.
    pub fn new(left: &str, right: &str) -> Result<Self, BadDelimiter> {
        let default = Self::default();
        Ok(Self { left: delimiter(left, default.left)?, right: delimiter(right, default.right)? })
    }
}

fn delimiter(text: &str, default: String) -> Result<String, BadDelimiter> {
    if text.is_empty() {
        return Ok(default);
    }
    if text.len() > MAX_DELIMITER || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadDelimiter(text.chars().take(MAX_DELIMITER).collect()));
    }
    Ok(text.to_owned())
}
