//! As much of HPACK (RFC 7541) as mending one header takes: no table, and no value is decoded.

use std::ops::Range;

use super::huffman;

/// Where the static table has the name `:authority`.
const AUTHORITY: usize = 1;

/// What a header block says of its authority.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// Nothing, or by reference to an earlier block.
    Absent,
    /// It had no `/`.
    Legal,
    /// It has none any more.
    Mended,
}

/// These bytes are no header block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Replaces each `/` in the value of a literal `:authority` by `-`, which takes as many bits.
pub(super) fn mend(block: &mut [u8]) -> Result<Authority, Malformed> {
    let Some(Text { range, huffman }) = find_authority(block)? else {
        return Ok(Authority::Absent);
    };
    let text = &mut block[range];
    let replaced = if huffman { huffman::replace_slashes(text) } else { replace_slashes(text) };
    Ok(if replaced == 0 { Authority::Legal } else { Authority::Mended })
}

fn replace_slashes(text: &mut [u8]) -> usize {
    let slashes = text.iter_mut().filter(|byte| **byte == b'/');
    slashes.map(|byte| *byte = b'-').count()
}

/// The value of the first literal whose name is `:authority`.
fn find_authority(block: &[u8]) -> Result<Option<Text>, Malformed> {
    let mut reader = Reader { block, at: 0 };
    while let Some(first) = block.get(reader.at) {
        let name = match first {
            // A field of the tables.
            0x80.. => {
                reader.integer(7)?;
                continue;
            }
            // A new size of the table.
            0x20..0x40 => {
                reader.integer(5)?;
                continue;
            }
            // Literals: to be added to the table, or not, or never.
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

/// A string of the block.
struct Text {
    range: Range<usize>,
    huffman: bool,
}

struct Reader<'a> {
    block: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn text(&mut self) -> Result<Text, Malformed> {
        let huffman = self.block.get(self.at).ok_or(Malformed)? & 0x80 != 0;
        let length = self.integer(7)?;
        let range = self.at..self.at + length;
        if range.end > self.block.len() {
            return Err(Malformed);
        }
        self.at = range.end;
        Ok(Text { range, huffman })
    }

    /// An integer whose first byte has `prefix` bits of it. None that matters here has more than 28 bits more.
    fn integer(&mut self, prefix: u32) -> Result<usize, Malformed> {
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
        Err(Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.block.get(self.at).ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(block: &[u8]) -> (Result<Authority, Malformed>, Vec<u8>) {
        let mut block = block.to_vec();
        let authority = mend(&mut block);
        (authority, block)
    }

    #[test]
    fn plain_literals_of_all_three_kinds_are_mended() {
        for first in [0x41, 0x01, 0x11] {
            let (authority, block) = mended(&[&[0x83, first, 4][..], b"/a/b", &[0x86]].concat());
            assert_eq!(authority, Ok(Authority::Mended));
            assert_eq!(block, [&[0x83, first, 4][..], b"-a-b", &[0x86]].concat());
        }
    }

    #[test]
    fn other_values_are_not_taken_for_the_authority() {
        // A path, a new name with its value, two size updates and two long indices: all but one hold what looks like it.
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
        assert_eq!(mended(&block), (Ok(Authority::Absent), block));
    }

    #[test]
    fn a_legal_value_stays() {
        let block = [&[0x41, 9][..], b"localhost"].concat();
        assert_eq!(mended(&block), (Ok(Authority::Legal), block));
    }

    #[test]
    fn a_value_longer_than_its_prefix_is_read_whole() {
        let path = "/var".repeat(50);
        let block = [&[0x41, 0x7f, 73][..], path.as_bytes()].concat();
        let (authority, block) = mended(&block);
        assert_eq!(authority, Ok(Authority::Mended));
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
            assert_eq!(mended(block), (Err(Malformed), block.to_vec()));
        }
    }
}
