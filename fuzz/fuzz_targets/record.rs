//! The state directory: files, stored sessions and journals.
#![no_main]

use coffer_fuzz::{Fields, InputBound, PLANTED};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 1000, constant: 8 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let record = coffer_daemonset::fuzzing::state_file(data, PLANTED);
    let record = record.unwrap_or_else(|| data.to_vec());
    let mut fields = Fields::of(&record);
    coffer_provider::fuzzing::stored_session(fields.text(), fields.text(), PLANTED);
}));
