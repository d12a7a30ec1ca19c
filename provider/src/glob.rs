//! Patterns as in a shell: `*`, `?`, `[…]`.

use std::iter::Peekable;
use std::str::Chars;

/// A pattern, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    tokens: Vec<Piece>,
    /// A character that only itself matches.
    separator: Option<char>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    One(Matcher),
    /// `*`: any text, also none.
    AnyText,
}

/// What matches one character.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Matcher {
    Literal(char),
    AnyCharacter,
    Set { negated: bool, ranges: Vec<(char, char)> },
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
        let mut tokens = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '*' if tokens.last() == Some(&Piece::AnyText) => {}
                '*' => tokens.push(Piece::AnyText),
                '?' => tokens.push(Piece::One(Matcher::AnyCharacter)),
                '[' => tokens.push(Piece::One(set(&mut rest)?)),
                c => tokens.push(Piece::One(Matcher::Literal(c))),
            }
        }
        Ok(Self { tokens, separator: None })
    }

    /// Returns the pattern with a separator, which `*`, `?` and `[…]` do not match.
    pub(crate) fn with_separator(self, separator: char) -> Self {
        Self { separator: Some(separator), ..self }
    }

    /// Returns whether the whole text matches. The time is at most the product of both lengths: only
    /// the last `*` is ever tried again.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut token, mut at) = (0, 0);
        // the last `*`, and where the text goes on if `*` takes one more character
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.tokens.get(token) {
                Some(Piece::AnyText) => {
                    retry = Some((token, at));
                    token += 1;
                }
                Some(Piece::One(matcher)) if self.takes(matcher, text[at]) => {
                    token += 1;
                    at += 1;
                }
                _ => match retry {
                    Some((star, from)) if Some(text[from]) != self.separator => {
                        retry = Some((star, from + 1));
                        token = star + 1;
                        at = from + 1;
                    }
                    _ => return false,
                },
            }
        }
        self.tokens[token..].iter().all(|token| *token == Piece::AnyText)
    }

    fn takes(&self, matcher: &Matcher, c: char) -> bool {
        match matcher {
            Matcher::Literal(literal) => *literal == c,
            _ if Some(c) == self.separator => false,
            Matcher::AnyCharacter => true,
            Matcher::Set { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        }
    }
}

/// Parses the rest of `[…]`. A `]` at its beginning stands for itself.
fn set(rest: &mut Peekable<Chars<'_>>) -> Result<Matcher, BadGlob> {
    let negated = rest.next_if(|c| matches!(c, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let from = rest.next().ok_or(BadGlob::Unclosed)?;
        if from == ']' && !ranges.is_empty() {
            return Ok(Matcher::Set { negated, ranges });
        }
        // a - at the end stands for itself
        let mut ahead = rest.clone();
        let to = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                *rest = ahead;
                to
            }
            _ => from,
        };
        if to < from {
            return Err(BadGlob::Range);
        }
        ranges.push((from, to));
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
