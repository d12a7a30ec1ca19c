//! `cargo xtask miri`: runs tests of parsers and of pure logic in Miri, an interpreter that sees
//! undefined behaviour. The workspace has no `unsafe` code: what is examined is the code of others
//! that these tests run.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::cargo::target_dir;
use crate::nightly::nightly;
use crate::step::{self, StepEvent};
use crate::test::counts;

/// The packages, with filters of the tests that are run of each (an empty one takes all), and the
/// tests that take minutes in Miri.
const TESTS: [(&str, &[&str], &[&str]); 4] = [
    ("coffer-shares", &[""], &[]),
    ("coffer-template", &[""], &["hostile_tests"]),
    ("coffer-vault", &["json::"], &["depth_and_number"]),
    ("coffer-provider", &["glob", "go_duration", "go_json", "text_encoding", "lifetime", "key_filter"], &[]),
];

/// Runs the tests, and says so where there is no Miri.
///
/// # Errors
/// If a test fails, or a filter takes none: the tests that it took have another name now.
pub(crate) fn run() -> Result<()> {
    if !has_miri() {
        eprintln!("skipped: there is no Miri (rustup +nightly component add miri rust-src)");
        return Ok(());
    }
    for (package, filters, skipped) in TESTS {
        for filter in filters {
            run_tests(package, filter, skipped)?;
        }
    }
    Ok(())
}

fn run_tests(package: &str, filter: &str, skipped: &[&str]) -> Result<()> {
    let mut command = miri();
    command
        .args(["test", "--package", package, "--lib", "--quiet", "--", filter])
        .args(skipped.iter().flat_map(|name| ["--skip", name]))
        .env("CARGO_TARGET_DIR", target_dir().join("miri"))
        // Temporary files, clocks and random numbers are the machine's.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", "8");
    let tests = format!("{package} {filter}");
    eprintln!("{} in Miri …", tests.trim_end());
    let (mut passed, mut lines) = (0, Vec::new());
    let status = step::watch(&mut command, |event| match event {
        StepEvent::Line(line) => {
            passed += counts(line).map_or(0, |counts| counts.passed);
            lines.push(line.to_owned());
        }
        StepEvent::StillRunning(time) => eprintln!("  still running, {} s", time.as_secs()),
    })?;
    if !status.success() {
        lines.iter().for_each(|line| eprintln!("{line}"));
        bail!("{} failed in Miri: {status}", tests.trim_end());
    }
    if passed == 0 {
        bail!("{package} has no test {filter:?} any more");
    }
    println!("{}: {passed} passed", tests.trim_end());
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
