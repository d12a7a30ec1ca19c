//! Patterns as in a shell: `*`, `?`, `[…]`.

/// A pattern. It takes no more memory than its text, since classes have many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    text: Box<str>,
    /// A character that only itself matches.
    separator: Option<char>,
}

/// What the first piece of a pattern makes of a character. Each has the rest of the pattern.
enum Piece<'a> {
    /// `*`: any text, also none.
    AnyText(&'a str),
    /// The piece matches the character.
    Matching(&'a str),
    /// The piece does not match, or there is none.
    Other,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadGlob {
    #[error("has a [ without its ]")]
    Unclosed,
    #[error("has a range that ends before it begins")]
    Range,
    #[error("is longer than {MAX_LENGTH} characters")]
    TooLong,
}

/// Maximum length of a pattern, in characters.
const MAX_LENGTH: usize = 1024;

impl Glob {
    /// Parses a pattern, in which `*` and `?` match every character.
    ///
    /// # Errors
    /// [`BadGlob`].
    pub(crate) fn parse(text: &str) -> Result<Self, BadGlob> {
        if text.chars().count() > MAX_LENGTH {
            return Err(BadGlob::TooLong);
        }
        let mut rest = text;
        while let Some(at) = rest.find('[') {
            rest = set(&rest[at + 1..], None)?.1;
        }
        Ok(Self { text: text.into(), separator: None })
    }

    /// Returns the text of the pattern.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the pattern with a separator, which `*`, `?` and `[…]` do not match.
    pub(crate) fn with_separator(self, separator: char) -> Self {
        Self { separator: Some(separator), ..self }
    }

    /// Returns whether the whole text matches. The time is at most the product of both lengths: only
    /// the last `*` is ever tried again.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (&*self.text, text);
        // what is behind the last `*`, and the text that `*` has not taken
        let mut retry: Option<(&str, &str)> = None;
        while let Some(c) = text.chars().next() {
            match self.first_piece(pattern, c) {
                Piece::AnyText(rest) => {
                    retry = Some((rest, text));
                    pattern = rest;
                }
                Piece::Matching(rest) => {
                    pattern = rest;
                    text = &text[c.len_utf8()..];
                }
                Piece::Other => {
                    let Some((behind, left)) = retry else { return false };
                    let mut left = left.chars();
                    if left.next() == self.separator && self.separator.is_some() {
                        return false;
                    }
                    (pattern, text) = (behind, left.as_str());
                    retry = Some((pattern, text));
                }
            }
        }
        pattern.bytes().all(|b| b == b'*')
    }

    fn first_piece<'a>(&self, pattern: &'a str, c: char) -> Piece<'a> {
        let mut chars = pattern.chars();
        let is_separator = Some(c) == self.separator;
        let (matches, rest) = match chars.next() {
            None => return Piece::Other,
            Some('*') => return Piece::AnyText(chars.as_str()),
            Some('?') => (!is_separator, chars.as_str()),
            Some('[') => match set(chars.as_str(), Some(c)) {
                Ok((contains, rest)) => (contains && !is_separator, rest),
                Err(_) => return Piece::Other,
            },
            Some(literal) => (literal == c, chars.as_str()),
        };
        if matches { Piece::Matching(rest) } else { Piece::Other }
    }
}

/// Reads the rest of `[…]`, in which a `]` at the beginning stands for itself. Returns whether a
/// character is one of the set, and the pattern behind it.
fn set(text: &str, c: Option<char>) -> Result<(bool, &str), BadGlob> {
    let inside = text.strip_prefix(['!', '^']);
    let is_negated = inside.is_some();
    let mut rest = inside.unwrap_or(text).chars();
    let (mut contains, mut is_empty) = (false, true);
    loop {
        let from = rest.next().ok_or(BadGlob::Unclosed)?;
        if from == ']' && !is_empty {
            return Ok((contains != is_negated, rest.as_str()));
        }
        is_empty = false;
        // a - at the end stands for itself
        let mut ahead = rest.clone();
        let to = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                rest = ahead;
                to
            }
            _ => from,
        };
        if to < from {
            return Err(BadGlob::Range);
        }
        contains |= c.is_some_and(|c| (from..=to).contains(&c));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BadGlob, Glob};

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::parse(pattern).expect(pattern).matches(text)
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "a/b"),
            ("team-a/*", "team-a/x/y"),
            ("*a*b*", "xxaxxbxx"),
            ("a?c", "a/c"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[^a]", "b"),
            ("[]a]", "]"),
            ("[a-]", "-"),
            ("[*]", "*"),
            ("[[]::1[]]", "[::1]"),
            ("?", "ü"),
            ("a**", "a"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("team-a/*", "team-a"),
            ("team-a", "team-ab"),
            ("*a", "ab"),
            ("[!a-c]x", "ax"),
            ("[a]", "A"),
            ("a", "A"),
            ("*a*b", "ba"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn nothing_but_itself_matches_a_separator() {
        let matches = |pattern: &str, text: &str| {
            Glob::parse(pattern).expect(pattern).with_separator('/').matches(text)
        };
        assert!(matches("https://*.example.com", "https://a.b.example.com"));
        assert!(!matches("https://*.example.com", "https://evil.com/x.example.com"));
        assert!(!matches("a?b", "a/b") && !matches("a[!x]b", "a/b") && !matches("a[/]b", "a/b"));
        assert!(!matches("*", "a/") && matches("*/*", "a/b"));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for (pattern, bad) in [
            ("a[", BadGlob::Unclosed),
            ("[]", BadGlob::Unclosed),
            ("[!]", BadGlob::Unclosed),
            ("[z-a]", BadGlob::Range),
            (&"a".repeat(1025), BadGlob::TooLong),
        ] {
            assert_eq!(Glob::parse(pattern), Err(bad), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        assert!(!matches(&format!("{}b", "*a".repeat(500)), &"a".repeat(100_000)));
    }

    /// The same by recursion, for short texts.
    fn simply(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|taken| simply(rest, &text[taken..])),
            (Some((p, pattern)), Some((t, text))) => (*p == '?' || p == t) && simply(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_the_simple_one(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), simply(&chars(&pattern), &chars(&text)));
        }
    }
}
