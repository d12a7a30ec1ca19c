//! The encodings of text files that people write: UTF-8, and UTF-16 with a byte order mark, as
//! `kubectl` reads manifests.

use crate::class::Position;

/// Marks UTF-16 and UTF-8; the bytes are its place at the beginning of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why bytes are no text that Kubernetes' tools read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// UTF-16 that does not say so.
    #[error(
        "the text is UTF-16 without a byte order mark, which Kubernetes' tools do not read: save it as UTF-8"
    )]
    UnmarkedUtf16,
    /// UTF-32.
    #[error("the text is UTF-32, which Kubernetes' tools do not read: save it as UTF-8")]
    Utf32,
    /// A byte that is not part of UTF-8.
    #[error("the byte 0x{byte:02x} is not UTF-8: save the text as UTF-8")]
    NotUtf8 {
        /// The byte.
        byte: u8,
        /// Where it is.
        at: Position,
    },
    /// Half of a character in UTF-16.
    #[error("a character of the UTF-16 text is incomplete: save the text as UTF-8")]
    NotUtf16 {
        /// Where it is.
        at: Position,
    },
}

impl BadText {
    /// Returns the place in the text, if one place is wrong.
    #[must_use]
    pub fn at(&self) -> Option<Position> {
        match self {
            Self::UnmarkedUtf16 | Self::Utf32 => None,
            Self::NotUtf8 { at, .. } | Self::NotUtf16 { at } => Some(*at),
        }
    }
}

/// Decodes a text in UTF-8, or in UTF-16 with a byte order mark. The mark is removed.
///
/// # Errors
/// [`BadText`], if the bytes are another encoding or none.
pub fn decode_text(bytes: &[u8]) -> Result<String, BadText> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(BadText::Utf32),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // by YAML 1.2, 5.2: a text begins with a character of ASCII
        [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => Err(BadText::Utf32),
        [0, _, ..] | [_, 0, ..] => Err(BadText::UnmarkedUtf16),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, BadText> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let good = error.valid_up_to();
        let before = String::from_utf8_lossy(&bytes[..good]);
        BadText::NotUtf8 { byte: bytes[good], at: end_of(&before) }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, BadText> {
    let (pairs, rest) = bytes.as_chunks();
    let mut text = String::with_capacity(pairs.len());
    for c in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        text.push(c.map_err(|_| BadText::NotUtf16 { at: end_of(&text) })?);
    }
    if rest.is_empty() { Ok(text) } else { Err(BadText::NotUtf16 { at: end_of(&text) }) }
}

/// Returns the place after a text.
fn end_of(text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    let line = text.matches('\n').count() as u64 + 1;
    Position { line, column: last.chars().filter(|c| *c != BYTE_ORDER_MARK).count() as u64 + 1 }
}

#[cfg(test)]
mod tests {
    use super::{BadText, decode_text};

    fn in_utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf8_and_marked_utf16_are_decoded() {
        for text in ["", "a", "a: ü\r\nb: \u{1f511}\n"] {
            assert_eq!(decode_text(text.as_bytes()).as_deref(), Ok(text));
            let marked = format!("\u{feff}{text}");
            assert_eq!(decode_text(marked.as_bytes()).as_deref(), Ok(text));
            assert_eq!(decode_text(&in_utf16(&marked, u16::to_le_bytes)).as_deref(), Ok(text));
            assert_eq!(decode_text(&in_utf16(&marked, u16::to_be_bytes)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_encodings_are_refused_by_name() {
        let utf32 = |bytes: fn(u32) -> [u8; 4], text: &str| -> Vec<u8> {
            text.chars().flat_map(|c| bytes(u32::from(c))).collect()
        };
        for (bytes, error) in [
            (in_utf16("kind: A", u16::to_le_bytes), BadText::UnmarkedUtf16),
            (in_utf16("kind: A", u16::to_be_bytes), BadText::UnmarkedUtf16),
            (utf32(u32::to_le_bytes, "kind"), BadText::Utf32),
            (utf32(u32::to_be_bytes, "kind"), BadText::Utf32),
            (utf32(u32::to_le_bytes, "\u{feff}kind"), BadText::Utf32),
            (utf32(u32::to_be_bytes, "\u{feff}kind"), BadText::Utf32),
        ] {
            assert_eq!(decode_text(&bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn a_wrong_byte_is_told_with_its_place() {
        let error = decode_text(b"\xef\xbb\xbfa: b\nc: \xc3\xbc\xfc\n").expect_err("Latin-1");
        assert_eq!(error.to_string(), "the byte 0xfc is not UTF-8: save the text as UTF-8");
        assert_eq!(error.at().map(|at| (at.line, at.column)), Some((2, 5)));
        for bytes in [&b"\xff\xfea\0\n\0\0\xd8b\0"[..], b"\xff\xfea\0\n\0b"] {
            let error = decode_text(bytes).expect_err("half a character");
            assert_eq!(error.at().map(|at| (at.line, at.column)), Some((2, 1)));
        }
    }
}
