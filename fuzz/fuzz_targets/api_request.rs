//! Requests to the API server: path, query, selectors, Accept, and the headers of the front proxy.
#![no_main]

use coffer_fuzz::{Fields, InputBound};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 200, constant: 1 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let mut fields = Fields::of(data);
    let (path, query, method) = (fields.text(), fields.text(), fields.text());
    let headers: Vec<&[u8]> = std::iter::from_fn(|| Some(fields.bytes()).filter(|rest| !rest.is_empty())).collect();
    coffer_api_server::fuzzing::request(method, path, query, &headers.join(&0xff));
}));
