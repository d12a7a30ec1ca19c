//! JSON pointers (RFC 6901).

use std::borrow::Cow;
use std::fmt;

/// A place in a JSON value, such as `/replicas/0/host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer(Box<str>);

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
    /// assert_eq!(pointer.steps().map(|(step, _)| step).collect::<Vec<_>>(), ["a/b", "0"]);
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
        parts.try_for_each(|part| unescaped(part).map(drop))?;
        Ok(Self(text.into()))
    }

    /// Returns the keys and indexes that lead to the place, each with the pointer up to it.
    pub fn steps(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        let ends = self.0.match_indices('/').map(|(at, _)| at).skip(1).chain([self.0.len()]);
        let steps = self.0.split('/').skip(1).map(|part| unescaped(part).unwrap_or_default());
        steps.zip(ends.map(|end| &self.0[..end]))
    }

    /// Returns whether the place is the whole value.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the index of an array that a step names: digits without a leading zero. `-`, the place
/// behind the last element, has no value.
pub(crate) fn array_index(step: &str) -> Option<usize> {
    let is_index = step.bytes().all(|b| b.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    step.parse().ok().filter(|_| is_index)
}

fn unescaped(step: &str) -> Result<Cow<'_, str>, BadJsonPointer> {
    if !step.contains('~') {
        return Ok(Cow::Borrowed(step));
    }
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
    Ok(Cow::Owned(text))
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
            let pointer = JsonPointer::parse(text).expect(text);
            assert_eq!(pointer.steps().map(|(step, _)| step).collect::<Vec<_>>(), steps, "{text:?}");
            assert_eq!(pointer.steps().last().map_or("", |(_, whole)| whole), text);
            assert_eq!(pointer.is_whole(), steps.is_empty());
        }
        let pointer = JsonPointer::parse("/a~1b//c").expect("a pointer");
        assert_eq!(
            pointer.steps().map(|(_, up_to)| up_to).collect::<Vec<_>>(),
            ["/a~1b", "/a~1b/", "/a~1b//c"]
        );
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
