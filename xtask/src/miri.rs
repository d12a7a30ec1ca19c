//! `cargo xtask miri`: runs tests of parsers and of pure logic in Miri, an interpreter that sees
//! undefined behaviour. The workspace has no `unsafe` code: what is examined is the code of others
//! that these tests run.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cargo::{run as run_command, target_dir};
use crate::nightly::nightly;

/// The packages, with the tests that are run of each, and those that take minutes in Miri.
const TESTS: [(&str, &[&str], &[&str]); 4] = [
    ("coffer-shares", &[], &[]),
    ("coffer-template", &[], &["hostile_tests"]),
    ("coffer-vault", &["json::"], &["depth_and_number"]),
    ("coffer-provider", &["glob", "go_duration", "go_json", "text_encoding", "lifetime", "key_filter"], &[]),
];

/// Runs the tests, and says so where there is no Miri.
///
/// # Errors
/// If a test fails.
pub(crate) fn run() -> Result<()> {
    if !has_miri() {
        eprintln!("skipped: there is no Miri (rustup +nightly component add miri rust-src)");
        return Ok(());
    }
    for (package, tests, skipped) in TESTS {
        let mut command = miri();
        command
            .args(["test", "--package", package, "--lib", "--quiet", "--"])
            .args(tests)
            .args(skipped.iter().flat_map(|name| ["--skip", name]))
            .env("CARGO_TARGET_DIR", target_dir().join("miri"))
            // Temporary files, clocks and random numbers are the machine's.
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("PROPTEST_CASES", "8");
        eprintln!("{package} in Miri …");
        run_command(&mut command)?;
    }
    Ok(())
}

fn has_miri() -> bool {
    let status = miri().arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn miri() -> Command {
    let mut command = nightly("cargo".as_ref());
    command.arg("miri");
    command
}
