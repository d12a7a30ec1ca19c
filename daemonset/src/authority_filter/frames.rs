//! HTTP/2 frames (RFC 9113), parsed as far as needed to find header blocks.

use std::ops::Range;

const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Bytes that are held back for one header block, at most, frame heads included.
const MAX_HELD_BYTES: usize = 16 * 1024;

/// What the held bytes are, which begin with the head of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeldFrames {
    /// Too few to tell: at least this many are needed.
    Incomplete(usize),
    /// The head of a frame without a header block. Holds the length of its payload.
    Other(usize),
    /// The frames of a header block. Holds the ranges of its parts.
    HeaderBlock(Vec<Range<usize>>),
    /// Not HTTP/2, or more than may be held back.
    Invalid,
}

/// Examines the bytes that are held so far.
pub(super) fn examine(held: &[u8]) -> HeldFrames {
    let mut parts = Vec::new();
    let mut start = 0;
    loop {
        let Some(head) = FrameHead::of(&held[start..]) else {
            return HeldFrames::Incomplete(start + HEAD_BYTES);
        };
        match (head.kind, start) {
            (HEADERS, 0) => {}
            (_, 0) => return HeldFrames::Other(head.length),
            (CONTINUATION, _) => {}
            _ => return HeldFrames::Invalid,
        }
        let payload = start + HEAD_BYTES..start + HEAD_BYTES + head.length;
        if payload.end > MAX_HELD_BYTES {
            return HeldFrames::Invalid;
        }
        if payload.end > held.len() {
            return HeldFrames::Incomplete(payload.end);
        }
        start = payload.end;
        let Some(part) = head.part(held, payload) else {
            return HeldFrames::Invalid;
        };
        parts.push(part);
        if head.flags & END_HEADERS != 0 {
            return HeldFrames::HeaderBlock(parts);
        }
    }
}

struct FrameHead {
    length: usize,
    kind: u8,
    flags: u8,
}

impl FrameHead {
    fn of(frame: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, _, _, _, _] = frame.first_chunk::<HEAD_BYTES>()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Self { length, kind, flags })
    }

    /// Returns the payload without padding and priority, which only HEADERS frames have.
    fn part(&self, held: &[u8], payload: Range<usize>) -> Option<Range<usize>> {
        let Range { mut start, mut end } = payload;
        if self.kind == HEADERS && self.flags & PADDED != 0 {
            let padding = *held[start..end].first()?;
            start += 1;
            end = end.checked_sub(padding.into())?;
        }
        if self.kind == HEADERS && self.flags & PRIORITY != 0 {
            start += 5;
        }
        (start <= end).then_some(start..end)
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a block in one part is one range")]
mod tests {
    use super::{
        CONTINUATION, END_HEADERS, HEAD_BYTES, HEADERS, HeldFrames, MAX_HELD_BYTES, PADDED, PRIORITY, examine,
    };

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn a_block_is_waited_for_head_first() {
        let held = frame(HEADERS, END_HEADERS, b"abc");
        for (length, wanted) in [(0, 9), (8, 9), (9, 12), (11, 12)] {
            assert_eq!(examine(&held[..length]), HeldFrames::Incomplete(wanted));
        }
        assert_eq!(examine(&held), HeldFrames::HeaderBlock(vec![9..12]));
    }

    #[test]
    fn padding_and_priority_are_no_part_of_it() {
        let payload = [&[2][..], &[0; 5], b"abc", &[0; 2]].concat();
        let held = frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &payload);
        assert_eq!(examine(&held), HeldFrames::HeaderBlock(vec![15..18]));
    }

    #[test]
    fn a_block_goes_on_in_continuations_only() {
        let held = [frame(HEADERS, 0, b"abc"), frame(CONTINUATION, 0, b""), frame(CONTINUATION, 0x2c, b"de")];
        assert_eq!(examine(&held.concat()), HeldFrames::HeaderBlock(vec![9..12, 21..21, 30..32]));
        assert_eq!(examine(&[frame(HEADERS, 0, b"abc"), frame(0, 0, b"de")].concat()), HeldFrames::Invalid);
    }

    #[test]
    fn other_frames_are_known_by_their_head() {
        assert_eq!(examine(&frame(4, 0, &[0; 6])[..9]), HeldFrames::Other(6));
        assert_eq!(examine(&frame(CONTINUATION, END_HEADERS, b"abc")), HeldFrames::Other(3));
    }

    #[test]
    fn more_padding_than_payload_is_refused() {
        assert_eq!(examine(&frame(HEADERS, END_HEADERS | PADDED, &[])), HeldFrames::Invalid);
        assert_eq!(examine(&frame(HEADERS, END_HEADERS | PADDED, &[3, 0])), HeldFrames::Invalid);
        assert_eq!(examine(&frame(HEADERS, END_HEADERS | PRIORITY, &[0; 4])), HeldFrames::Invalid);
    }

    #[test]
    fn a_long_block_is_refused_by_its_heads() {
        assert_eq!(examine(&frame(HEADERS, END_HEADERS, &[0; MAX_HELD_BYTES])[..9]), HeldFrames::Invalid);
        let empty = frame(CONTINUATION, 0, b"").repeat(MAX_HELD_BYTES / HEAD_BYTES);
        assert_eq!(examine(&[frame(HEADERS, 0, b""), empty].concat()), HeldFrames::Invalid);
    }
}
