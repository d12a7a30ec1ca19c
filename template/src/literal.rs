//! Reads the strings, characters and numbers of a template, as Go's `strconv` does.

use crate::fault::TemplateProblem;
use crate::tree::NumberLiteral;

/// Returns the bytes of a string with its quotes or backquotes.
///
/// # Errors
/// [`TemplateProblem::Escape`].
pub(crate) fn text(literal: &str) -> Result<Vec<u8>, TemplateProblem> {
    let inside = &literal[1..literal.len() - 1];
    if literal.starts_with('`') {
        return Ok(inside.bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((element, after)) = element(rest, '"')? {
        match element {
            QuotedElement::Character(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            QuotedElement::Byte(byte) => bytes.push(byte),
        }
        rest = after;
    }
    Ok(bytes)
}

/// Returns the number that a character in quotes is.
///
/// # Errors
/// [`TemplateProblem::Escape`], or [`TemplateProblem::CharacterLiteral`] if it is not one character.
pub(crate) fn character(literal: &str) -> Result<NumberLiteral, TemplateProblem> {
    let inside = &literal[1..literal.len() - 1];
    match element(inside, '\'')? {
        Some((element, "")) => {
            let code = match element {
                QuotedElement::Character(c) => i64::from(u32::from(c)),
                QuotedElement::Byte(byte) => i64::from(byte),
            };
            Ok(whole(code))
        }
        _ => Err(TemplateProblem::CharacterLiteral),
    }
}

/// Returns a number.
///
/// # Errors
/// [`TemplateProblem::Number`]; [`TemplateProblem::NumberForm`] for complex numbers and hexadecimal
/// floats; [`TemplateProblem::NumberRange`] for what no 64-bit number holds.
pub(crate) fn number(literal: &str) -> Result<NumberLiteral, TemplateProblem> {
    let unsigned = literal.strip_prefix(['+', '-']).unwrap_or(literal);
    let is_hexadecimal = unsigned.starts_with("0x") || unsigned.starts_with("0X");
    let is_hexadecimal_float = is_hexadecimal && unsigned.contains(['p', 'P', '.']);
    if literal.ends_with('i') || is_hexadecimal_float {
        return Err(TemplateProblem::NumberForm);
    }
    if let Some((digits, radix)) = integer_digits(unsigned) {
        let sign = if literal.starts_with('-') { "-" } else { "" };
        let signed = i64::from_str_radix(&format!("{sign}{digits}"), radix);
        let number = signed.map_err(|_| TemplateProblem::NumberRange)?;
        // Go looks for `0x` at the very beginning: with a sign, an `e` among the digits is taken
        // for that of a float
        let is_float =
            literal.contains(['.', 'e', 'E']) && !(is_hexadecimal && literal.len() == unsigned.len());
        return Ok(NumberLiteral { is_float, ..whole(number) });
    }
    float(literal)
}

fn float(literal: &str) -> Result<NumberLiteral, TemplateProblem> {
    let has_prefix = literal.contains(['x', 'X', 'o', 'O', 'b', 'B']);
    if has_prefix || !literal.contains(['.', 'e', 'E']) {
        return Err(TemplateProblem::Number);
    }
    let plain = without_separators(literal).ok_or(TemplateProblem::Number)?;
    let float: f64 = plain.parse().map_err(|_| TemplateProblem::Number)?;
    if !float.is_finite() {
        return Err(TemplateProblem::NumberRange);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the result is compared with the float")]
    let whole = float as i64;
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "as Go compares")]
    let is_whole = whole as f64 == float && whole != i64::MAX;
    Ok(NumberLiteral { whole: is_whole.then_some(whole), float, is_float: true })
}

/// Returns a number without its underscores; none if one is not between two digits.
pub(crate) fn without_separators(number: &str) -> Option<String> {
    let bytes = number.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_separator = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    let are_good = number.match_indices('_').all(|(at, _)| is_separator(at));
    are_good.then(|| number.replace('_', ""))
}

/// Returns a number in lower case without the prefix of its base, and the base, as Go has it for
/// base 0.
pub(crate) fn without_prefix(lower: &str) -> (&str, u32) {
    match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower, 10),
    }
}

/// Returns the digits of a whole number without sign, and their base; none if it is no whole
/// number.
fn integer_digits(unsigned: &str) -> Option<(String, u32)> {
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = without_prefix(&lower);
    // an underscore stands between two digits, or after the prefix
    let has_prefix = radix != 10;
    let is_separated =
        !digits.ends_with('_') && !digits.contains("__") && (has_prefix || !digits.starts_with('_'));
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    let is_number = !plain.is_empty() && plain.chars().all(|c| c.is_digit(radix));
    (is_separated && is_number).then_some((plain, radix))
}

#[expect(clippy::cast_precision_loss, reason = "Go converts it in the same way")]
fn whole(number: i64) -> NumberLiteral {
    NumberLiteral { whole: Some(number), float: number as f64, is_float: false }
}

/// A part of what is in quotes.
enum QuotedElement {
    Character(char),
    /// A byte that was written as `\x` or in octal.
    Byte(u8),
}

/// Returns the first element of a text in quotes, and what follows; none at the end.
fn element(text: &str, quote: char) -> Result<Option<(QuotedElement, &str)>, TemplateProblem> {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return Ok(None) };
    if first != '\\' {
        let is_plain = first != quote && first != '\n';
        let element = (QuotedElement::Character(first), characters.as_str());
        return if is_plain { Ok(Some(element)) } else { Err(TemplateProblem::Escape) };
    }
    let escape = characters.next().ok_or(TemplateProblem::Escape)?;
    let rest = characters.as_str();
    let simple = |c| Ok(Some((QuotedElement::Character(c), rest)));
    match escape {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '\\' => simple('\\'),
        c if c == quote => simple(c),
        'x' => code(rest, 2, 16).map(|(code, rest)| byte(code, rest)).ok_or(TemplateProblem::Escape)?,
        '0'..='7' => {
            code(&text[1..], 3, 8).map(|(code, rest)| byte(code, rest)).ok_or(TemplateProblem::Escape)?
        }
        'u' | 'U' => {
            let digits = if escape == 'u' { 4 } else { 8 };
            let found = code(rest, digits, 16).and_then(|(code, rest)| Some((char::from_u32(code)?, rest)));
            let (c, rest) = found.ok_or(TemplateProblem::Escape)?;
            Ok(Some((QuotedElement::Character(c), rest)))
        }
        _ => Err(TemplateProblem::Escape),
    }
}

fn byte(code: u32, rest: &str) -> Result<Option<(QuotedElement, &str)>, TemplateProblem> {
    let byte = u8::try_from(code).map_err(|_| TemplateProblem::Escape)?;
    Ok(Some((QuotedElement::Byte(byte), rest)))
}

/// Returns the number that the first digits of a text are, and what follows.
fn code(text: &str, digits: usize, radix: u32) -> Option<(u32, &str)> {
    let number = text.get(..digits).filter(|number| number.chars().all(|c| c.is_digit(radix)))?;
    Some((u32::from_str_radix(number, radix).ok()?, &text[digits..]))
}
