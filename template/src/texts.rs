//! consul-template's functions over texts (`template/funcs.go`).

use std::ops::Range;
use std::sync::Arc;

use coffer_vault::Secret;
use coffer_vault::json::{JsonText, JsonValue};

use crate::budget::{MAX_ITEMS, MemoryMeter, Sink};
use crate::print::character_length;
use crate::render_fault::RenderProblem;
use crate::value::{Bytes, JsonPart, TemplateValue, Texts, place};

/// `replaceAll`: replaces `from` by `to`; an empty `from` is before, between and after all
/// characters.
pub(crate) fn replace_all(sink: &mut Sink, from: &[u8], to: &[u8], text: &[u8]) -> Result<(), RenderProblem> {
    sink.count_read(text.len());
    let mut rest = text;
    if from.is_empty() {
        while !rest.is_empty() {
            let length = character_length(rest);
            sink.push(to)?;
            sink.push(&rest[..length])?;
            rest = &rest[length..];
        }
        return sink.push(to);
    }
    while let Some(at) = find(rest, from) {
        sink.push(&rest[..at])?;
        sink.push(to)?;
        rest = &rest[at + from.len()..];
    }
    sink.push(rest)
}

/// Returns where a text begins in another.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

/// `trim`: takes characters off both ends.
pub(crate) fn trim(set: &[u8], text: &Bytes) -> Result<Bytes, RenderProblem> {
    let set = std::str::from_utf8(set)
        .map_err(|_| RenderProblem::Unsupported("trimming characters that are not UTF-8"))?;
    if set.len() > MAX_SET {
        return Err(RenderProblem::Unsupported("trimming so many characters"));
    }
    Ok(trimmed(text, |c| set.contains(c)))
}

/// Maximum length of the characters that `trim` takes, in bytes. Its time is this times the text's.
const MAX_SET: usize = 256;

/// `trimSpace`: takes white space off both ends.
pub(crate) fn trim_space(text: &Bytes) -> Bytes {
    trimmed(text, char::is_whitespace)
}

fn trimmed(text: &Bytes, takes: impl Fn(char) -> bool) -> Bytes {
    let bytes = text.get();
    let (mut start, mut end) = (0, bytes.len());
    while start < end {
        let length = character_length(&bytes[start..end]);
        if !takes(character(&bytes[start..start + length])) {
            break;
        }
        start += length;
    }
    while start < end {
        let tail = &bytes[start.max(end.saturating_sub(4))..end];
        let length = last_character_length(tail);
        if !takes(character(&bytes[end - length..end])) {
            break;
        }
        end -= length;
    }
    text.part(start..end)
}

/// Returns the one character of some bytes; U+FFFD if they are none.
fn character(bytes: &[u8]) -> char {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.chars().next())
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn last_character_length(tail: &[u8]) -> usize {
    let is_one = |length: &usize| {
        let bytes = &tail[tail.len() - length..];
        std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1)
    };
    (1..=tail.len()).find(is_one).unwrap_or(1)
}

/// `toUpper` and `toLower`: maps each character to one other, as Go does.
pub(crate) fn change_case(sink: &mut Sink, text: &[u8], upper: bool) -> Result<(), RenderProblem> {
    if text.is_ascii() {
        for part in text.chunks(64) {
            let mut changed = [0; 64];
            for (to, byte) in changed.iter_mut().zip(part) {
                *to = if upper { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
            }
            sink.push(&changed[..part.len()])?;
            changed.fill(0);
        }
        return Ok(());
    }
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            sink.push(other_case(c, upper)?.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        for _ in chunk.invalid() {
            sink.push("\u{fffd}".as_bytes())?;
        }
    }
    Ok(())
}

/// Returns the one character that Go makes of a character. Those that become several in Rust have
/// no such character in the scripts that are known here.
fn other_case(c: char, upper: bool) -> Result<char, RenderProblem> {
    let mut upper_case = c.to_uppercase();
    let mut lower_case = c.to_lowercase();
    let (first, second) =
        if upper { (upper_case.next(), upper_case.next()) } else { (lower_case.next(), lower_case.next()) };
    match (first, second) {
        (Some(one), None) => Ok(one),
        _ if c == 'İ' => Ok('i'),
        _ if c < '\u{530}' => Ok(c),
        _ => Err(RenderProblem::Unsupported("upper and lower case of this script")),
    }
}

/// `split`: divides a text without white space at its ends. An empty separator is between all
/// characters.
pub(crate) fn split(
    separator: &[u8],
    text: &Bytes,
    meter: &Arc<MemoryMeter>,
) -> Result<Texts, RenderProblem> {
    let text = trim_space(text);
    let bytes = text.get();
    let mut places: Vec<Range<u32>> = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let next = match separator {
            [] => Some((start + character_length(&bytes[start..]), 0)).filter(|(end, _)| *end < bytes.len()),
            _ => find(&bytes[start..], separator).map(|at| (start + at, separator.len())),
        };
        let Some((end, skipped)) = next else { break };
        places.push(place(start)..place(end));
        start = end + skipped;
        if places.len() > MAX_ITEMS {
            return Err(RenderProblem::TooManyItems);
        }
    }
    if !bytes.is_empty() {
        places.push(place(start)..place(bytes.len()));
    }
    Texts::new(text, places, meter)
}

/// `join`.
pub(crate) fn join(sink: &mut Sink, separator: &[u8], texts: &Texts) -> Result<(), RenderProblem> {
    for (n, text) in texts.iter().enumerate() {
        sink.count_item()?;
        if n > 0 {
            sink.push(separator)?;
        }
        sink.push(text)?;
    }
    Ok(())
}

/// `indent`: puts spaces before each line that is not empty.
pub(crate) fn indent(sink: &mut Sink, spaces: i64, text: &[u8]) -> Result<(), RenderProblem> {
    let spaces = usize::try_from(spaces).map_err(|_| RenderProblem::Argument {
        function: "indent",
        wants: "spaces",
        found: "a negative number",
    })?;
    if text.is_empty() && spaces > MAX_ITEMS {
        return Err(RenderProblem::ValueSize(MAX_ITEMS));
    }
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line != b"\n" {
            sink.fill(b' ', spaces)?;
        }
        sink.push(line)?;
    }
    Ok(())
}

/// `contains`: whether a text has another in it, or a list has a value.
pub(crate) fn contains(wanted: &TemplateValue, within: &TemplateValue) -> Result<bool, RenderProblem> {
    let no_type =
        || RenderProblem::Argument { function: "contains", wants: "a value", found: wanted.words() };
    let is_nothing = matches!(wanted, TemplateValue::Missing | TemplateValue::Nil);
    match within {
        TemplateValue::Text(_) | TemplateValue::Number(_) if is_nothing => Err(no_type()),
        TemplateValue::Text(text) => Ok(match wanted {
            TemplateValue::Text(wanted) => find(text.get(), wanted.get()).is_some(),
            _ => false,
        }),
        TemplateValue::Number(text) => Ok(match wanted {
            TemplateValue::Number(wanted) => find(text.get(), wanted.get()).is_some(),
            _ => false,
        }),
        TemplateValue::Texts(texts) if is_nothing => {
            if texts.len() > 0 {
                Err(no_type())
            } else {
                Ok(false)
            }
        }
        TemplateValue::Texts(texts) => Ok(match wanted {
            TemplateValue::Text(wanted) => texts.iter().any(|text| text == wanted.get()),
            _ => false,
        }),
        TemplateValue::Json(part) => {
            for item in part.get().items() {
                let is_text = item.is_string() || (is_number(item) && !part.has_floats());
                if is_text && is_nothing {
                    return Err(no_type());
                }
                if is_wanted(item, wanted, part.has_floats()) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

fn is_number(value: JsonValue<'_>) -> bool {
    value.raw().starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

#[expect(clippy::float_cmp, reason = "as Go compares")]
fn is_wanted(item: JsonValue<'_>, wanted: &TemplateValue, has_floats: bool) -> bool {
    match wanted {
        // a text is never longer than its JSON
        TemplateValue::Text(text) => {
            item.is_string()
                && item.raw().len() >= text.len()
                && item.string().is_some_and(|item| item.expose() == text.get())
        }
        TemplateValue::Number(digits) => {
            is_number(item) && !has_floats && item.raw().as_bytes() == digits.get()
        }
        TemplateValue::Float(float) => {
            is_number(item) && has_floats && item.raw().parse::<f64>().is_ok_and(|item| item == *float)
        }
        _ => false,
    }
}

/// `parseJSON`. Numbers become floats; the empty text becomes an empty map.
pub(crate) fn parse_json(text: &[u8], meter: &Arc<MemoryMeter>) -> Result<TemplateValue, RenderProblem> {
    let text: &[u8] = if text.is_empty() { b"{}" } else { text };
    let marks = text.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count() + 1;
    if marks > 2 * MAX_ITEMS {
        return Err(RenderProblem::TooManyItems);
    }
    let memory = meter.take(text.len() + marks * BYTES_PER_VALUE)?;
    let json = JsonText::parse(Secret::new(text)).ok_or(RenderProblem::Json)?;
    if !has_finite_numbers(json.root()) {
        return Err(RenderProblem::Json);
    }
    JsonPart::parsed(json, memory).value(meter)
}

/// Memory of the index of JSON for each value, in bytes.
const BYTES_PER_VALUE: usize = 24;

/// Returns whether Go can hold all numbers. The depth is limited by the index.
fn has_finite_numbers(value: JsonValue<'_>) -> bool {
    if is_number(value) {
        return value.raw().parse::<f64>().is_ok_and(f64::is_finite);
    }
    value.items().all(has_finite_numbers) && value.members().all(|(_, member)| has_finite_numbers(member))
}
