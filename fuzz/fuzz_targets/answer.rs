//! Answers of Vault: the index of the body, files in every format, and Vault's own words.
#![no_main]

use coffer_fuzz::{Fields, InputBound, PLANTED};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 4000, constant: 16 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let mut fields = Fields::of(data);
    let (objects, body, arguments) = (fields.text(), fields.bytes(), fields.text());
    let number = data.len();
    coffer_vault::fuzzing::body(body, 1 + number % 7);
    let Ok(body) = std::str::from_utf8(body) else { return };
    coffer_vault::fuzzing::refusal((number * 100) as u16, body, arguments, PLANTED);
    coffer_provider::fuzzing::files(objects, body, PLANTED);
}));
