//! The tokens of a label selector, and what a label's key and value may be.

/// A token of a label selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabelToken<'a> {
    /// One of the operators and separators `= == != ! > < ( ) ,`.
    Symbol(&'a str),
    /// A key, a value, or the words `in` and `notin`.
    Word(&'a str),
    /// The end of the text.
    End,
}

/// All symbols; of two with the same beginning the longer is first.
const SYMBOLS: [&str; 9] = ["==", "=", "!=", "!", ">", "<", "(", ")", ","];

const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Longest name of a key, and longest value, in bytes.
const MAX_NAME: usize = 63;

/// Longest prefix of a key, in bytes.
const MAX_PREFIX: usize = 253;

impl<'a> LabelToken<'a> {
    /// Returns the token as it is written.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Symbol(text) | Self::Word(text) => text,
            Self::End => "",
        }
    }
}

/// Splits a selector into tokens. The last one is [`LabelToken::End`]. As for kube-apiserver, a NUL
/// ends a token, or the text where no token is.
pub(super) fn tokens(text: &str) -> Vec<LabelToken<'_>> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches(WHITE_SPACE);
        if rest.is_empty() || rest.starts_with('\0') {
            tokens.push(LabelToken::End);
            return tokens;
        }
        let token = next(rest);
        tokens.push(token);
        rest = &rest[token.text().len()..];
        rest = rest.strip_prefix('\0').unwrap_or(rest);
    }
}

/// Returns the first token of a text that begins with no white space.
fn next(text: &str) -> LabelToken<'_> {
    let symbol = SYMBOLS.iter().find(|symbol| text.starts_with(**symbol));
    symbol.map_or_else(
        || {
            LabelToken::Word(
                text.split(|c| is_special(c) || c == '\0' || WHITE_SPACE.contains(&c)).next().unwrap_or(text),
            )
        },
        |symbol| LabelToken::Symbol(symbol),
    )
}

fn is_special(character: char) -> bool {
    ['=', '!', '(', ')', ',', '>', '<'].contains(&character)
}

/// Returns whether a label can have this key.
pub(super) fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    }
}

/// Returns whether a label can have this value.
pub(super) fn is_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

fn is_name(name: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let (first, last) = (name.bytes().next(), name.bytes().last());
    name.len() <= MAX_NAME
        && name.bytes().all(is_inner)
        && [first, last].iter().all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric()))
}

fn is_subdomain(prefix: &str) -> bool {
    let is_outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_label = |label: &str| {
        is_outer(label.bytes().next())
            && is_outer(label.bytes().last())
            && label.bytes().all(|b| b == b'-' || is_outer(Some(b)))
    };
    prefix.len() <= MAX_PREFIX && prefix.split('.').all(is_label)
}
