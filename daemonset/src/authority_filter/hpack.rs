//! HPACK (RFC 7541), as far as needed to change one header. There is no table, and no value is
//! decoded.

use std::ops::Range;

use super::huffman;

/// Index of the name `:authority` in the static table.
const AUTHORITY: usize = 1;

/// What became of the `:authority` in a header block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AuthorityChange {
    /// There is none, or it refers to an earlier block.
    Absent,
    /// It has no `/` and stays.
    Legal,
    /// Each `/` was replaced.
    Replaced,
}

/// The bytes are not a header block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a header block")]
pub(super) struct MalformedHeaders;

/// Replaces each `/` in the value of a literal `:authority` by `-`, which has as many bits.
///
/// # Errors
/// The bytes are not a header block.
pub(super) fn replace_slashes(block: &mut [u8]) -> Result<AuthorityChange, MalformedHeaders> {
    let Some(HpackString { range, huffman }) = find_authority(block)? else {
        return Ok(AuthorityChange::Absent);
    };
    let text = &mut block[range];
    let replaced = if huffman { huffman::replace_slashes(text) } else { replace_plain_slashes(text) };
    Ok(if replaced == 0 { AuthorityChange::Legal } else { AuthorityChange::Replaced })
}

fn replace_plain_slashes(text: &mut [u8]) -> usize {
    let slashes = text.iter_mut().filter(|byte| **byte == b'/');
    slashes.map(|byte| *byte = b'-').count()
}

/// Returns the value of the first literal named `:authority`.
fn find_authority(block: &[u8]) -> Result<Option<HpackString>, MalformedHeaders> {
    let mut reader = HpackReader { block, at: 0 };
    while let Some(first) = block.get(reader.at) {
        let name = match first {
            // a field of the tables
            0x80.. => {
                reader.integer(7)?;
                continue;
            }
            // a new size of the table
            0x20..0x40 => {
                reader.integer(5)?;
                continue;
            }
            // literals: to be added to the table, or not, or never
            0x40..0x80 => reader.integer(6)?,
            0x00..0x20 => reader.integer(4)?,
        };
        if name == 0 {
            reader.text()?;
        }
        let value = reader.text()?;
        if name == AUTHORITY {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A string in the block.
struct HpackString {
    range: Range<usize>,
    huffman: bool,
}

struct HpackReader<'a> {
    block: &'a [u8],
    at: usize,
}

impl HpackReader<'_> {
    fn text(&mut self) -> Result<HpackString, MalformedHeaders> {
        let huffman = self.block.get(self.at).ok_or(MalformedHeaders)? & 0x80 != 0;
        let length = self.integer(7)?;
        let range = self.at..self.at + length;
        if range.end > self.block.len() {
            return Err(MalformedHeaders);
        }
        self.at = range.end;
        Ok(HpackString { range, huffman })
    }

    /// Reads an integer whose first byte has `prefix` bits of the value. Integers of more than 28
    /// further bits are refused.
    fn integer(&mut self, prefix: u32) -> Result<usize, MalformedHeaders> {
        let full = (1 << prefix) - 1;
        let mut value = usize::from(self.byte()?) & full;
        if value < full {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(MalformedHeaders)
    }

    fn byte(&mut self) -> Result<u8, MalformedHeaders> {
        let byte = *self.block.get(self.at).ok_or(MalformedHeaders)?;
        self.at += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthorityChange, MalformedHeaders, replace_slashes};

    fn replaced(block: &[u8]) -> (Result<AuthorityChange, MalformedHeaders>, Vec<u8>) {
        let mut block = block.to_vec();
        let authority = replace_slashes(&mut block);
        (authority, block)
    }

    #[test]
    fn plain_literals_of_all_three_kinds_are_replaced() {
        for first in [0x41, 0x01, 0x11] {
            let (authority, block) = replaced(&[&[0x83, first, 4][..], b"/a/b", &[0x86]].concat());
            assert_eq!(authority, Ok(AuthorityChange::Replaced));
            assert_eq!(block, [&[0x83, first, 4][..], b"-a-b", &[0x86]].concat());
        }
    }

    #[test]
    fn other_values_are_not_taken_for_the_authority() {
        // a path, a new name with its value, two size updates and two long indices: all but one
        // have its bytes
        let block = [
            &[0x44, 4, 0x41, 2][..],
            b"//",
            &[0x40, 4, 0x41, 2],
            b"//",
            &[3, 0x41, 1],
            b"/",
            &[0x2f, 0x3f, 0x41, 0xff, 0x41, 0x0f, 0x01, 2],
            b"//",
        ]
        .concat();
        assert_eq!(replaced(&block), (Ok(AuthorityChange::Absent), block));
    }

    #[test]
    fn a_legal_value_stays() {
        let block = [&[0x41, 9][..], b"localhost"].concat();
        assert_eq!(replaced(&block), (Ok(AuthorityChange::Legal), block));
    }

    #[test]
    fn a_value_longer_than_its_prefix_is_read_whole() {
        let path = "/var".repeat(50);
        let block = [&[0x41, 0x7f, 73][..], path.as_bytes()].concat();
        let (authority, block) = replaced(&block);
        assert_eq!(authority, Ok(AuthorityChange::Replaced));
        assert_eq!(block[3..], *path.replace('/', "-").as_bytes());
    }

    #[test]
    fn what_ends_early_or_never_is_malformed() {
        for block in [
            &[0x41][..],
            &[0x41, 3, b'/'],
            &[0x41, 0x7f],
            &[0x40, 1, b'a'],
            &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
            &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert_eq!(replaced(block), (Err(MalformedHeaders), block.to_vec()));
        }
    }
}
