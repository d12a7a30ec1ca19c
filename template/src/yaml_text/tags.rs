//! Which texts would be read as something else without quotes (`resolve.go`).

use crate::literal::{without_prefix, without_separators};

/// Words that YAML 1.1 reads as booleans, null, floats or the merge key.
const WORDS: [&str; 39] = [
    "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no", "No", "NO",
    "false", "False", "FALSE", "off", "Off", "OFF", "", "~", "null", "Null", "NULL", ".nan", ".NaN", ".NAN",
    ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
];

/// Returns whether a text without quotes is read as a text.
pub(super) fn is_plain_text(text: &str) -> bool {
    if WORDS.contains(&text) {
        return false;
    }
    let is_other = match text.bytes().next() {
        Some(b'.') => is_point_float(text),
        Some(b'+' | b'-' | b'0'..=b'9') => is_timestamp(text) || is_number(text),
        _ => false,
    };
    !is_other && !is_sexagesimal(text)
}

/// Returns whether a text that begins with a point is a float.
fn is_point_float(text: &str) -> bool {
    let is_float = |text: &str| text.len() > 1 && text[1..].starts_with(|c: char| c.is_ascii_digit());
    let plain = without_separators(text).filter(|plain| is_float(plain) && is_yaml_float(plain));
    plain.is_some_and(|plain| is_finite(&plain))
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    is_whole(&plain) || (is_yaml_float(&plain) && is_finite(&plain))
}

fn is_finite(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Returns whether Go's `ParseInt` or `ParseUint` with base 0 reads a text.
fn is_whole(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = without_prefix(&lower);
    let is_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let has_sign = unsigned.len() < text.len();
    let number = u64::from_str_radix(digits, radix);
    let limit = if text.starts_with('-') { 1 << 63 } else { i64::MAX.unsigned_abs() };
    is_digits && number.is_ok_and(|number| !has_sign || number <= limit)
}

/// Returns whether a text is `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_yaml_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    is_mantissa && is_exponent
}

/// Returns whether a text is `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`.
fn is_sexagesimal(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || c == '_';
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (numbers, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = numbers.split(':');
    let first = parts.next().unwrap_or_default();
    let is_part = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [b'0'..=b'5', digit] => digit.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(is_digit)
        && fraction.chars().all(is_digit)
        && numbers.contains(':')
        && parts.all(is_part)
}

/// Returns whether a text is one of the dates and times that Go's parser knows.
fn is_timestamp(text: &str) -> bool {
    let year =
        text.get(..5).filter(|year| year.ends_with('-') && year[..4].bytes().all(|b| b.is_ascii_digit()));
    let Some(year) = year.and_then(|year| year[..4].parse::<u32>().ok()) else { return false };
    let Some((month, rest)) = number(&text[5..]) else { return false };
    let Some((day, rest)) = rest.strip_prefix('-').and_then(number) else { return false };
    if !(1..=12).contains(&month) || day < 1 || day > days(year, month) {
        return false;
    }
    let Some(mark) = rest.chars().next() else { return true };
    let is_zoned = match mark {
        'T' | 't' => true,
        ' ' => false,
        _ => return false,
    };
    // Go takes several spaces for one
    let clock = if is_zoned { &rest[1..] } else { rest.trim_start_matches(' ') };
    time(clock).is_some_and(|zone| if is_zoned { is_zone(zone) } else { zone.is_empty() })
}

/// Returns what follows a time.
fn time(text: &str) -> Option<&str> {
    let (hour, rest) = number(text)?;
    let (minute, rest) = number(rest.strip_prefix(':')?)?;
    let (second, rest) = number(rest.strip_prefix(':')?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction =
        rest.strip_prefix(['.', ',']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    Some(fraction.map_or(rest, |fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit())))
}

fn is_zone(text: &str) -> bool {
    if text == "Z" {
        return true;
    }
    let part = |range| text.get(range).and_then(|digits: &str| digits.parse::<u32>().ok());
    text.len() == 6
        && text.starts_with(['+', '-'])
        && text.as_bytes()[3] == b':'
        && part(1..3).is_some_and(|hours| hours <= 24)
        && part(4..6).is_some_and(|minutes| minutes < 60)
}

/// Returns a number of one or two digits, and what follows.
fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    Some((text.get(..digits)?.parse().ok()?, &text[digits..]))
}

fn days(year: u32, month: u32) -> u32 {
    let is_leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
