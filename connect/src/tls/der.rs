//! The little of DER that private keys need: elements one after the other.

/// An element of DER.
pub(super) struct Element<'a> {
    /// The byte that says what it is.
    pub(super) tag: u8,
    /// The bytes in it.
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTETS: u8 = 0x04;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const CONTEXT_0: u8 = 0xa0;

    /// Returns the first element, and what follows it.
    pub(super) fn read(der: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, rest) = der.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => {
                let bytes = rest.first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*bytes)), rest.get(2..)?)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Self { tag: *tag, content }, rest))
    }

    /// Returns the content of this element, if it has that tag.
    pub(super) fn inner(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    /// Returns the content of a sequence that is all of `der`.
    pub(super) fn sequence(der: &'a [u8]) -> Option<&'a [u8]> {
        Self::read(der).and_then(|(element, _)| element.inner(Self::SEQUENCE))
    }

    /// Returns the integer at the beginning, and what follows it.
    pub(super) fn integer(der: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (element, rest) = Self::read(der)?;
        Some((element.inner(Self::INTEGER)?, rest))
    }
}

/// Returns the number of bits of a positive number.
pub(super) fn bits(number: &[u8]) -> usize {
    let digits = number.iter().skip_while(|byte| **byte == 0);
    let first = digits.clone().next().map_or(0, |first| first.leading_zeros() as usize);
    digits.count() * 8 - first
}
