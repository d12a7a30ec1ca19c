//! Renders the plain manifests in `deploy/` from the chart: `cargo xtask manifests`.

use std::fs;

use coffer_tests::kubernetes::{render_manifests, shipped_folder};

fn main() {
    for (name, text) in render_manifests() {
        let file = shipped_folder().join(name);
        fs::write(&file, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
        println!("{}", file.display());
    }
}
