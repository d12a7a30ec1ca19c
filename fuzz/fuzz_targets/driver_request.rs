//! Mount requests of the driver.
#![no_main]

use coffer_daemonset::fuzzing::{MountTexts, driver_request};
use coffer_fuzz::{Fields, InputBound, PLANTED};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 100, constant: 1 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let mut fields = Fields::of(data);
    let texts = MountTexts {
        attributes: fields.text(),
        secrets: fields.text(),
        permission: fields.text(),
        volume: fields.text(),
        version: fields.text(),
    };
    driver_request(texts, PLANTED);
}));
