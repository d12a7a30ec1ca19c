//! HPACK's Huffman code, as far as needed to find one symbol.
//!
//! The code of RFC 7541, Appendix B, is canonical: codes of one length are consecutive, and longer
//! codes begin where the shorter ones end. So the number of codes of each length says where every
//! symbol ends.

/// Pairs of a length in bits and the number of codes with it. The last pair counts the
/// end-of-string symbol too.
const CODES: [(u32, u32); 21] = [
    (5, 10),
    (6, 26),
    (7, 32),
    (8, 6),
    (10, 5),
    (11, 3),
    (12, 2),
    (13, 6),
    (14, 2),
    (15, 3),
    (19, 3),
    (20, 8),
    (21, 13),
    (22, 26),
    (23, 29),
    (24, 12),
    (25, 4),
    (26, 15),
    (27, 19),
    (28, 29),
    (30, 4),
];

const SLASH: u16 = 0b011000;
const DASH: u16 = 0b010110;
/// Length of both codes, in bits.
const LENGTH: u32 = 6;

/// Replaces each `/` of a coded text by `-`, and returns how many there were.
pub(super) fn replace_slashes(text: &mut [u8]) -> usize {
    let mut replaced = 0;
    let mut at = 0;
    while at < text.len() * 8 {
        let window = window(text, at);
        let length = code_length(window);
        if length == LENGTH && window >> (32 - LENGTH) == u32::from(SLASH) {
            flip(text, at);
            replaced += 1;
        }
        at += length as usize;
    }
    replaced
}

/// Returns the 32 bits from bit `at` on. Past the end the padding goes on, which is ones and so no
/// part of a `/`.
fn window(text: &[u8], at: usize) -> u32 {
    let mut bytes = [0xff; 8];
    for (byte, text) in bytes.iter_mut().zip(&text[at / 8..]) {
        *byte = *text;
    }
    (u64::from_be_bytes(bytes) << (at % 8) >> 32) as u32
}

/// Returns the length of the code that the window begins with.
fn code_length(window: u32) -> u32 {
    let mut end = 0;
    let mut last = 0;
    for (length, count) in CODES {
        end = (end << (length - last)) + count;
        last = length;
        if window >> (32 - length) < end {
            break;
        }
    }
    last
}

/// Changes the `/` at bit `at` to `-`.
fn flip(text: &mut [u8], at: usize) {
    let mask = (SLASH ^ DASH) << (16 - LENGTH) >> (at % 8);
    for (byte, mask) in text[at / 8..].iter_mut().zip(mask.to_be_bytes()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::{CODES, replace_slashes};
    use crate::authority_filter::tests::hex;

    /// Every octet but `/`, each with a `/` after it, as Go's and h2's encoders write it.
    const EVERY_SYMBOL: &str = "\
        ffc31ffff618fffffe263fffff8d8fffffe463fffff958fffffe663fffff9d8fffffe863ffffa98fffffff18fffffe96\
        3fffffa98fffffff58fffffeb63fffffb18fffffed63fffffb98fffffef63fffffc18ffffff163fffffc98fffffff98f\
        fffff363fffffd18ffffff563fffffd98ffffff763fffffe18ffffff963fffffe98ffffffb61463f863f963fe98ffcb0\
        ab1f0c7fa63fa63fb63e58ff6c7d30b30bb00602c0986586986d87187587987d8b8c7db1fff18818ffb63fc63ff4c42c\
        5d62f317d8c0c61631318d8c8c65633319d8d0c6963531ad8d8c6d63731bd8e0c7163931f8c7363f58ffdb1fffc18ffe\
        31ffe31131fff581b11b0462460ac4ac4cc4ec198e8c7562862962a60ec56c7662c610c258b58eec7863cb1e98f6c7ff\
        e63fe31ffeb1ffd63ffffff18fffe663fffd263fff9d8fffe863fffd363fffd463fffd563fffecb1fffeb31ffff698ff\
        ffb6c7fffdc63fffeeb1ffff798ffffeb63fffefb1ffffd8c7ffff6b1fffebb1ffff818ffffee63ffff0b1ffff898fff\
        fc6c7fffe463fffb8c7fffb0c7fffe563fffd963ffff331ffff9d8ffffef63fffda63fffbac7fff4b1fffedb1fffee31\
        ffffa18ffffd2c7fff798ffffd4c7fffbac7fffbcc7ffff831fffdf63fffdf63ffff5b1ffffb18ffff031fffe163fffe\
        063fffc4c7fffed63fffe163ffff731ffffbd8fffea63fffe263fffe363fffe463ffff831ffff2b1ffff331ffffc58ff\
        fff818fffff858fffeb63fff8b1ffff3b1ffffc98ffffa18fffff631fffff131fffff1b1fffff231fffff798fffffbec\
        7ffffcac7ffff8b1ffffed63fff931fffe363ffffe663fffff031fffff858fffff9d8fffffc4c7ffff931fffe463fffc\
        ac7ffffd0c7ffffd2c7fffffeb1fffff8d8fffffc8c7ffffe563fffb18fffff363fffb58ffff331ffff4b1fffe763fff\
        d0c7ffff363fffea63fffeb63ffffdcc7ffffbd8fffff463ffffd58fffffa98ffffe8c7ffffd6c7ffffe663ffffec63f\
        fffed63fffff3b1fffffa18fffffd2c7ffffea63fffff5b1ffffffcc7ffffec63fffff6b1fffffb98fffffdec7fffff0\
        63ffffee63";

    #[test]
    fn the_code_is_complete() {
        let symbols: u32 = CODES.iter().map(|(_, count)| count).sum();
        let space: u64 = CODES.iter().map(|&(length, count)| u64::from(count) << (32 - length)).sum();
        assert_eq!(symbols, 257);
        assert_eq!(space, 1 << 32);
    }

    #[test]
    fn a_slash_is_found_after_every_symbol() {
        let mut text = hex(EVERY_SYMBOL);
        assert_eq!(replace_slashes(&mut text), 255);
        assert_eq!(replace_slashes(&mut text), 0);
    }

    #[test]
    fn a_slash_across_two_symbols_is_none() {
        // `a` is 00011 and `0` is 00000
        let mut text = [0b0001_1000, 0b0011_1111];
        assert_eq!(replace_slashes(&mut text), 0);
        assert_eq!(text, [0b0001_1000, 0b0011_1111]);
    }

    #[test]
    fn a_slash_that_the_end_cuts_off_is_none() {
        // `0`, and the first half of a `/`
        let mut text = [0b0000_0011];
        assert_eq!(replace_slashes(&mut text), 0);
        assert_eq!(text, [0b0000_0011]);
    }
}
