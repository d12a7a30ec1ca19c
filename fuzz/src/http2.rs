//! Another reader of HTTP/2's frames and headers, to compare with.

use loona_hpack::Decoder;

/// Length of the preface, which a client sends before any frame.
const PREFACE: usize = 24;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// A frame, as far as it was sent.
pub struct Frame<'a> {
    pub head: &'a [u8],
    pub payload: &'a [u8],
}

impl Frame<'_> {
    fn kind(&self) -> u8 {
        self.head.get(3).copied().unwrap_or(0)
    }

    fn flags(&self) -> u8 {
        self.head.get(4).copied().unwrap_or(0)
    }

    /// Returns whether the frame has a part of a header block.
    #[must_use]
    pub fn is_header_block(&self) -> bool {
        matches!(self.kind(), HEADERS | CONTINUATION)
    }

    /// Returns the part of the header block, without padding and priority.
    fn part(&self) -> Option<&[u8]> {
        let mut part = self.payload;
        if self.kind() == HEADERS && self.flags() & 0x8 != 0 {
            let (padding, rest) = part.split_first()?;
            part = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
        }
        if self.kind() == HEADERS && self.flags() & 0x20 != 0 {
            part = part.get(5..)?;
        }
        Some(part)
    }
}

/// Returns the frames of a connection after the preface.
#[must_use]
pub fn frames(sent: &[u8]) -> Vec<Frame<'_>> {
    let mut rest = sent.get(PREFACE..).unwrap_or_default();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_at(rest.len().min(9));
        let length = match head {
            [a, b, c, _, _, _, _, _, _] => u32::from_be_bytes([0, *a, *b, *c]) as usize,
            _ => 0,
        };
        let (payload, after) = after.split_at(after.len().min(length));
        frames.push(Frame { head, payload });
        rest = after;
    }
    frames
}

/// The header lists of a connection.
pub struct HeaderLists(Vec<Vec<(Vec<u8>, Vec<u8>)>>);

impl HeaderLists {
    /// Returns the lists with `-` in place of each `/` in each `:authority`.
    #[must_use]
    pub fn legal(mut self) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
        for list in &mut self.0 {
            let authorities = list.iter_mut().filter(|(name, _)| name == b":authority");
            for byte in authorities.flat_map(|(_, value)| value) {
                *byte = if *byte == b'/' { b'-' } else { *byte };
            }
        }
        self.0
    }
}

/// Returns the header lists of a connection; none if one of them cannot be read.
#[must_use]
pub fn headers(frames: &[Frame<'_>]) -> Option<HeaderLists> {
    let (mut decoder, mut lists, mut block) = (Decoder::new(), Vec::new(), Vec::new());
    for frame in frames.iter().filter(|frame| frame.is_header_block()) {
        block.extend_from_slice(frame.part()?);
        if frame.flags() & 0x4 != 0 {
            lists.push(decoder.decode(&std::mem::take(&mut block)).ok()?);
        }
    }
    Some(HeaderLists(lists))
}
