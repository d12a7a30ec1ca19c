//! Checks that the committed code is what the generator makes of the .proto file.

#![allow(missing_docs)]

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

const REFRESH: &str = "COFFER_REGENERATE";
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/generated/v1alpha1.rs");
const PROTO_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
/// Messages that hold tokens or secrets. Their `Debug` is written by hand.
const SECRET: [&str; 3] = [".v1alpha1.MountRequest", ".v1alpha1.MountResponse", ".v1alpha1.File"];

#[test]
fn the_committed_code_is_up_to_date() -> Result<()> {
    let generated = generate()?;
    if env::var_os(REFRESH).is_some() {
        fs::write(COMMITTED, &generated).context(COMMITTED)?;
    }
    let committed = fs::read_to_string(COMMITTED).context(COMMITTED)?;
    ensure!(
        committed == generated,
        "{COMMITTED} is not what provider.proto gives; run `{REFRESH}=1 cargo test -p coffer-proto`"
    );
    Ok(())
}

fn generate() -> Result<String> {
    let out = tempfile::tempdir()?;
    let descriptors = protox::compile(["provider.proto"], [PROTO_DIR])?;
    tonic_prost_build::configure().out_dir(out.path()).skip_debug(SECRET).compile_fds(descriptors)?;
    read_only_file(out.path())
}

fn read_only_file(dir: &Path) -> Result<String> {
    let files: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    ensure!(files.len() == 1, "one file expected, generated: {files:?}");
    Ok(fs::read_to_string(files[0].path())?)
}
