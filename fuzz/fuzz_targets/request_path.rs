//! Requests to Vault: address, path, query and namespace.
#![no_main]

use coffer_fuzz::{Fields, InputBound};
use libfuzzer_sys::fuzz_target;

const BOUND: InputBound = InputBound { per_byte: 200, constant: 1 << 20 };

fuzz_target!(|data: &[u8]| BOUND.check(data, |data| {
    let mut fields = Fields::of(data);
    let (text, address, namespace) = (fields.text(), fields.text(), fields.text());
    let address = if address.is_empty() { "https://vault.example:8200" } else { address };
    if let Some((path, query)) = coffer_provider::fuzzing::secret_path(text) {
        coffer_vault::fuzzing::request(address, &path, &query, namespace);
    }
}));
