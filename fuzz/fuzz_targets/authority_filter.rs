//! The filter of the header `:authority`: however a connection is cut, all else passes unchanged.
#![no_main]

use coffer_daemonset::fuzzing::filtered;
use coffer_fuzz::InputBound;
use coffer_fuzz::http2::{frames, headers};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 200, constant: 1 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let Some((count, rest)) = data.split_first() else { return };
    let (pieces, sent) = rest.split_at(usize::from(*count).min(rest.len()));
    let whole = filtered(sent, &[], 4096);
    assert_eq!(whole, filtered(sent, pieces, 1 + usize::from(*count)), "pieces change what passes");
    assert_eq!(whole.len(), sent.len());
    let (before, after) = (frames(sent), frames(&whole));
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.head, after.head, "the head of a frame changed");
        assert!(before.payload == after.payload || before.is_header_block(), "a payload changed");
    }
    if let Some(before) = headers(&before) {
        assert_eq!(Some(before.legal()), headers(&after).map(|after| after.legal()));
    }
}));
