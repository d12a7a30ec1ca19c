//! The policy file of an operator.
#![no_main]

use coffer_fuzz::{Fields, InputBound};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 2000, constant: 8 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let mut fields = Fields::of(data);
    coffer_provider::fuzzing::policy(fields.text(), fields.text(), fields.text());
}));
