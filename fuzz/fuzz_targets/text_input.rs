//! Manifests: their encodings, `check` and `convert`.
#![no_main]

use coffer_fuzz::{InputBound};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 4000, constant: 16 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    coffer_cli::fuzzing::manifests(data);
}));
