//! Templates: the parser, and the evaluator within its budgets.
#![no_main]

use coffer_fuzz::{Fields, InputBound, PLANTED};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 400, constant: 16 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let mut fields = Fields::of(data);
    coffer_template::fuzzing::template(fields.text(), fields.text(), PLANTED);
}));
