//! Which style a text has: with quotes, without, or in lines of its own.

/// The styles of texts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TextStyle {
    Plain,
    Single,
    Double,
    Literal,
}

/// Returns the style of a text.
pub(super) fn style(text: &str, is_plain_text: bool, is_simple_key: bool) -> TextStyle {
    let has_breaks = text.contains(is_break);
    let has_special = text.chars().any(|c| !is_printable(c));
    let mut has_space_break = false;
    let mut has_break_space = false;
    for (one, other) in text.chars().zip(text.chars().skip(1)) {
        has_space_break |= one == ' ' && is_break(other);
        has_break_space |= is_break(one) && other == ' ';
    }
    let is_edge = |c: char| c == ' ' || is_break(c);
    let allows_nothing = has_space_break || has_special;
    let allows_plain = !text.starts_with(is_edge)
        && !text.ends_with(is_edge)
        && !has_breaks
        && !allows_nothing
        && !has_indicators(text)
        && (!is_simple_key || !text.is_empty());
    let allows_single = !allows_nothing && !has_break_space;
    let allows_literal = !allows_nothing && !text.ends_with(' ') && !is_simple_key;
    if text.contains('\n') && !(is_simple_key && has_breaks) {
        return if allows_literal { TextStyle::Literal } else { TextStyle::Double };
    }
    match is_plain_text && !(is_simple_key && has_breaks) {
        true if allows_plain => TextStyle::Plain,
        true if allows_single => TextStyle::Single,
        _ => TextStyle::Double,
    }
}

/// Returns whether a text has characters that mean something in YAML.
fn has_indicators(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let is_blank = |c: Option<char>| c.is_none_or(|c| c == ' ' || c == '\t');
    let mut before: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let follows_blank = before.is_none_or(|c| matches!(c, ' ' | '\t' | '\0') || is_break(c));
        let is_indicator = match (before, c) {
            (
                None,
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`',
            ) => true,
            (None, '?' | ':' | '-') | (Some(_), ':') => is_blank(next),
            (Some(_), '#') => follows_blank,
            _ => false,
        };
        if is_indicator {
            return true;
        }
        before = Some(c);
    }
    false
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}
