//! HTTP/2 frames (RFC 9113), as far as finding the header blocks takes.

use std::ops::Range;

const HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// No more is held back for one header block, frame heads and all.
const LIMIT: usize = 16 * 1024;

/// What the bytes held so far, which begin at a frame's head, are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Too few to tell: at least so many are needed.
    Until(usize),
    /// The head of a frame that holds no header block, and the length of its payload.
    Other(usize),
    /// The frames of a header block, and where its parts lie.
    Block(Vec<Range<usize>>),
    /// Nothing that HTTP/2 allows, or more than is held back.
    Refused,
}

/// Judges the bytes held so far.
pub(super) fn judge(held: &[u8]) -> Verdict {
    let mut parts = Vec::new();
    let mut start = 0;
    loop {
        let Some(head) = Head::of(&held[start..]) else {
            return Verdict::Until(start + HEAD);
        };
        match (head.kind, start) {
            (HEADERS, 0) => {}
            (_, 0) => return Verdict::Other(head.length),
            (CONTINUATION, _) => {}
            _ => return Verdict::Refused,
        }
        let payload = start + HEAD..start + HEAD + head.length;
        if payload.end > LIMIT {
            return Verdict::Refused;
        }
        if payload.end > held.len() {
            return Verdict::Until(payload.end);
        }
        start = payload.end;
        let Some(part) = head.part(held, payload) else {
            return Verdict::Refused;
        };
        parts.push(part);
        if head.flags & END_HEADERS != 0 {
            return Verdict::Block(parts);
        }
    }
}

struct Head {
    length: usize,
    kind: u8,
    flags: u8,
}

impl Head {
    fn of(frame: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, _, _, _, _] = frame.first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Self { length, kind, flags })
    }

    /// The payload without its padding and its priority, which only a HEADERS frame has.
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
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn a_block_is_waited_for_head_first() {
        let held = frame(HEADERS, END_HEADERS, b"abc");
        for (length, wanted) in [(0, 9), (8, 9), (9, 12), (11, 12)] {
            assert_eq!(judge(&held[..length]), Verdict::Until(wanted));
        }
        assert_eq!(judge(&held), Verdict::Block(vec![9..12]));
    }

    #[test]
    fn padding_and_priority_are_no_part_of_it() {
        let payload = [&[2][..], &[0; 5], b"abc", &[0; 2]].concat();
        let held = frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &payload);
        assert_eq!(judge(&held), Verdict::Block(vec![15..18]));
    }

    #[test]
    fn a_block_goes_on_in_continuations_only() {
        let held = [frame(HEADERS, 0, b"abc"), frame(CONTINUATION, 0, b""), frame(CONTINUATION, 0x2c, b"de")];
        assert_eq!(judge(&held.concat()), Verdict::Block(vec![9..12, 21..21, 30..32]));
        assert_eq!(judge(&[frame(HEADERS, 0, b"abc"), frame(0, 0, b"de")].concat()), Verdict::Refused);
    }

    #[test]
    fn other_frames_are_known_by_their_head() {
        assert_eq!(judge(&frame(4, 0, &[0; 6])[..9]), Verdict::Other(6));
        assert_eq!(judge(&frame(CONTINUATION, END_HEADERS, b"abc")), Verdict::Other(3));
    }

    #[test]
    fn more_padding_than_payload_is_refused() {
        assert_eq!(judge(&frame(HEADERS, END_HEADERS | PADDED, &[])), Verdict::Refused);
        assert_eq!(judge(&frame(HEADERS, END_HEADERS | PADDED, &[3, 0])), Verdict::Refused);
        assert_eq!(judge(&frame(HEADERS, END_HEADERS | PRIORITY, &[0; 4])), Verdict::Refused);
    }

    #[test]
    fn a_long_block_is_refused_by_its_heads() {
        assert_eq!(judge(&frame(HEADERS, END_HEADERS, &[0; LIMIT])[..9]), Verdict::Refused);
        let empty = frame(CONTINUATION, 0, b"").repeat(LIMIT / HEAD);
        assert_eq!(judge(&[frame(HEADERS, 0, b""), empty].concat()), Verdict::Refused);
    }
}
