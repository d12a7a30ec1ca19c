//! Classes: parameters and `objects`, and secret `secretArgs` in what is refused.
#![no_main]

use coffer_fuzz::{Fields, InputBound, PLANTED};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 2000, constant: 8 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let mut fields = Fields::of(data);
    coffer_provider::fuzzing::class(fields.text(), fields.text());
    coffer_provider::fuzzing::secret_arguments(fields.text(), PLANTED);
}));
