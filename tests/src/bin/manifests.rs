//! Renders the plain manifests in `deploy/` from the chart: `cargo xtask manifests`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coffer_tests::kubernetes::{render_manifests, render_monitoring, shipped_folder};

fn main() {
    write(&shipped_folder(), render_manifests());
    write(&shipped_folder().join("monitoring"), render_monitoring());
}

fn write(folder: &Path, files: BTreeMap<String, String>) {
    for (name, text) in files {
        let file = folder.join(name);
        fs::write(&file, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
        println!("{}", file.display());
    }
}
