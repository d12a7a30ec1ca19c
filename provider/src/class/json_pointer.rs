//! JSON pointers (RFC 6901).

use std::fmt;

/// A place in a JSON value, such as `/replicas/0/host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer {
    text: String,
    steps: Vec<String>,
}

/// Why a text is no JSON pointer. Each message continues a sentence that begins with the name of the
/// field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadJsonPointer {
    /// The text does not begin with `/`.
    #[error("does not begin with \"/\"")]
    NoSlash,
    /// A `~` is not followed by `0` or `1`.
    #[error("has a \"~\" that is neither \"~0\" (for \"~\") nor \"~1\" (for \"/\")")]
    Tilde,
    /// The text is longer than 1,024 bytes.
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
}

const MAX_BYTES: usize = 1024;

impl JsonPointer {
    /// Parses a pointer. The empty text is the whole value.
    ///
    /// # Errors
    /// The first rule of RFC 6901 that the text breaks.
    ///
    /// ```
    /// use coffer_provider::class::JsonPointer;
    ///
    /// let pointer = JsonPointer::parse("/a~1b/0")?;
    /// assert_eq!(pointer.steps(), ["a/b", "0"]);
    /// # Ok::<(), coffer_provider::class::BadJsonPointer>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, BadJsonPointer> {
        if text.len() > MAX_BYTES {
            return Err(BadJsonPointer::TooLong);
        }
        let mut parts = text.split('/');
        if parts.next() != Some("") {
            return Err(BadJsonPointer::NoSlash);
        }
        let steps = parts.map(unescaped).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Returns the keys and indexes that lead to the place.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.steps
    }
}

/// Returns the index of an array that a step names: digits without a leading zero. `-`, the place
/// behind the last element, has no value.
pub(crate) fn array_index(step: &str) -> Option<usize> {
    let is_index = step.bytes().all(|b| b.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    step.parse().ok().filter(|_| is_index)
}

fn unescaped(step: &str) -> Result<String, BadJsonPointer> {
    let mut parts = step.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (c, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(BadJsonPointer::Tilde),
        };
        text.push(c);
        text.push_str(rest);
    }
    Ok(text)
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadJsonPointer, JsonPointer, array_index};

    #[test]
    fn the_examples_of_the_rfc_are_taken_apart() {
        for (text, steps) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/foo/0", &["foo", "0"]),
            ("/a~1b", &["a/b"]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
            ("/a//b/", &["a", "", "b", ""]),
            ("/ключ/ ", &["ключ", " "]),
        ] {
            assert_eq!(JsonPointer::parse(text).expect(text).steps(), steps, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for (text, bad) in [
            ("a", BadJsonPointer::NoSlash),
            ("#/a", BadJsonPointer::NoSlash),
            ("/a~", BadJsonPointer::Tilde),
            ("/a~2", BadJsonPointer::Tilde),
            ("/~é", BadJsonPointer::Tilde),
            (&"/a".repeat(513), BadJsonPointer::TooLong),
        ] {
            assert_eq!(JsonPointer::parse(text), Err(bad), "{text:?}");
        }
    }

    #[test]
    fn only_digits_without_a_leading_zero_are_an_index() {
        for (step, index) in [("0", Some(0)), ("10", Some(10)), ("01", None), ("00", None)] {
            assert_eq!(array_index(step), index, "{step:?}");
        }
        for step in ["-", "", "+1", "-1", "1.0", " 1", "99999999999999999999999"] {
            assert_eq!(array_index(step), None, "{step:?}");
        }
    }
}
