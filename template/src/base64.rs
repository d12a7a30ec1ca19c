//! Base64 as Go's `base64.StdEncoding` does it: line breaks are skipped, and the last bits are not
//! looked at.

use crate::budget::Sink;
use crate::render_fault::RenderProblem;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends bytes in base64.
pub(crate) fn encode(sink: &mut Sink, bytes: &[u8]) -> Result<(), RenderProblem> {
    for group in bytes.chunks(3) {
        let byte = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |n: usize| ALPHABET[(bits >> (18 - 6 * n) & 63) as usize];
        let digit_or_padding = |n: usize| if n <= group.len() { digit(n) } else { b'=' };
        sink.push(&[digit(0), digit(1), digit_or_padding(2), digit_or_padding(3)])?;
    }
    Ok(())
}

/// Appends the bytes of a text in base64.
///
/// # Errors
/// [`RenderProblem::Base64`].
pub(crate) fn decode(sink: &mut Sink, text: &[u8]) -> Result<(), RenderProblem> {
    let mut digits = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    loop {
        let mut bits = 0;
        let mut count = 0;
        let mut padding = 0;
        for digit in digits.by_ref().take(4) {
            match value(digit) {
                Some(value) if padding == 0 => {
                    bits = bits << 6 | value;
                    count += 1;
                }
                None if digit == b'=' && count >= 2 => padding += 1,
                _ => return Err(RenderProblem::Base64),
            }
        }
        match (count, padding) {
            (0, 0) => return Ok(()),
            (4, 0) => sink.push(&bits.to_be_bytes()[1..])?,
            (2 | 3, _) if count + padding == 4 && digits.next().is_none() => {
                let bytes = (bits << (6 * padding)).to_be_bytes();
                return sink.push(&bytes[1..count]);
            }
            _ => return Err(RenderProblem::Base64),
        }
    }
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
