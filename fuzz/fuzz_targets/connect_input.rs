//! What says how to connect: proxies, PEM files and kubeconfigs.
#![no_main]

use coffer_fuzz::{Fields, InputBound, PLANTED};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 400, constant: 8 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let Some((kind, data)) = data.split_first() else { return };
    let mut fields = Fields::of(data);
    match kind {
        b'p' => {
            let (before, after) = (fields.text(), fields.text());
            coffer_connect::fuzzing::proxy(before, after, fields.text(), fields.text(), PLANTED);
        }
        b'k' => coffer_kubernetes::fuzzing::kubeconfig(fields.text(), fields.text(), PLANTED),
        _ => coffer_connect::fuzzing::bundle(fields.bytes(), fields.text()),
    }
}));
