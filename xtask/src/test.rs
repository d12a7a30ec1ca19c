//! `cargo xtask test`: builds everything, runs every test, and counts.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;

use anyhow::{Result, bail};

use crate::cargo::{build_all, cargo};
use crate::leftovers::RunFolder;
use crate::openbao;
use crate::packages;
use crate::prometheus;
use crate::pyyaml;
use crate::servers;
use crate::step::{self, StepEvent};

/// Runs `cargo test` over the workspace, doctests included. Shows a summary line of each suite, and
/// the whole output of a suite with failures.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    openbao::bring()?;
    packages::bring_postgres()?;
    packages::bring_fake_time()?;
    if let Err(error) = packages::bring_container_tools() {
        eprintln!("{error:#}; the tests of the images are skipped");
    }
    if let Err(error) = packages::bring_readers() {
        eprintln!("{error:#}; the tests that read with them are skipped");
    }
    pyyaml::bring()?;
    prometheus::bring()?;
    servers::bring(&servers::TESTS)?;
    build_all()?;

    let folder = RunFolder::new("test")?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments).env("TMPDIR", folder.path());
    let mut report = TestReport::default();
    eprintln!("testing …");
    with_threads(&mut command);
    with_same_cases(&mut command);
    let status = step::watch(&mut command, |event| report.take(&event));
    let ended = folder.end();
    let success = status?.success();
    report.print(success);
    ended?;
    if !success {
        bail!("cargo test failed");
    }
    Ok(())
}

/// Lets more tests run at once than there are cores: most of their time they wait for a server.
fn with_threads(command: &mut Command) {
    const NAME: &str = "RUST_TEST_THREADS";
    if std::env::var_os(NAME).is_none() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        command.env(NAME, cores.max(4).to_string());
    }
}

/// Draws the same cases of properties and models in each run, so that a change that passes here
/// passes everywhere. `cargo test` draws others each time.
fn with_same_cases(command: &mut Command) {
    const NAME: &str = "PROPTEST_RNG_SEED";
    if std::env::var_os(NAME).is_none() {
        command.env(NAME, "1");
    }
}

/// The results of the run so far.
#[derive(Default)]
struct TestReport {
    /// The suite that runs now, and the lines that it printed.
    suite: String,
    lines: Vec<String>,
    total: TestCounts,
    /// How many tests were skipped for each reason.
    reasons: BTreeMap<String, u32>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct TestCounts {
    pub(crate) passed: u32,
    failed: u32,
    ignored: u32,
}

impl TestReport {
    fn take(&mut self, event: &StepEvent<'_>) {
        let line = match event {
            StepEvent::Line(line) => *line,
            StepEvent::StillRunning(passed) => {
                let what = if self.suite.is_empty() { "building the tests" } else { &self.suite };
                return eprintln!("  still {what}, {} s", passed.as_secs());
            }
        };
        if let Some(reason) = reason(line) {
            *self.reasons.entry(reason.to_owned()).or_default() += 1;
        }
        if let Some(suite) = suite(line) {
            self.suite = suite;
            self.lines.clear();
        } else if let Some(counts) = counts(line) {
            self.finish(line, counts);
        } else if !line.starts_with("test ") || line.ends_with("FAILED") {
            self.lines.push(line.to_owned());
        }
    }

    fn finish(&mut self, line: &str, counts: TestCounts) {
        if counts.failed > 0 {
            self.lines.iter().for_each(|line| println!("{line}"));
        }
        if counts != TestCounts::default() {
            println!("{:>30} {line}", self.suite);
        }
        self.lines.clear();
        self.total.passed += counts.passed;
        self.total.failed += counts.failed;
        self.total.ignored += counts.ignored;
    }

    fn print(&self, success: bool) {
        let TestCounts { passed, failed, ignored } = self.total;
        if !success && failed == 0 {
            // The build failed, or a test program as a whole.
            self.lines.iter().for_each(|line| println!("{line}"));
        }
        self.reasons.iter().for_each(|(reason, number)| println!("{number} skipped: {reason}"));
        println!("{passed} passed, {failed} failed, {ignored} skipped");
    }
}

/// Returns the suite that a line opens: `     Running tests/mount/main.rs (target/…)` or
/// `   Doc-tests coffer_proto`.
fn suite(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("documentation of {name}"));
    }
    let (source, program) = line.strip_prefix("Running ")?.split_once(" (")?;
    let Some(source) = source.strip_prefix("unittests ") else {
        return Some(source.to_owned());
    };
    // Unit tests are named by their crate: `…/deps/coffer_provider-0123456789abcdef)`.
    let program = program.rsplit('/').next().unwrap_or(source);
    Some(format!("units of {}", program.split('-').next().unwrap_or(program)))
}

/// Returns why a test was skipped: `test a_name ... ignored, why`, or with the reason in brackets.
fn reason(line: &str) -> Option<&str> {
    let (_, reason) = line.strip_prefix("test ")?.split_once("... ignored")?;
    reason.strip_prefix(", ").or_else(|| reason.strip_prefix(" (")?.strip_suffix(')'))
}

/// Returns the counts of `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
pub(crate) fn counts(line: &str) -> Option<TestCounts> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = TestCounts::default();
    for part in rest.split("; ") {
        match part.split_once(' ') {
            Some((number, "passed")) => counts.passed = number.parse().ok()?,
            Some((number, "failed")) => counts.failed = number.parse().ok()?,
            Some((number, "ignored")) => counts.ignored = number.parse().ok()?,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_are_parsed() {
        assert_eq!(
            suite("     Running tests/mount/main.rs (target/debug/deps/mount-1a2b)").as_deref(),
            Some("tests/mount/main.rs")
        );
        let unit = "     Running unittests src/lib.rs (target/debug/deps/coffer_provider-1a2b)";
        assert_eq!(suite(unit).as_deref(), Some("units of coffer_provider"));
        assert_eq!(suite("   Doc-tests coffer_proto").as_deref(), Some("documentation of coffer_proto"));
        assert_eq!(suite("running 5 tests"), None);

        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.50s";
        assert_eq!(counts(line), Some(TestCounts { passed: 5, failed: 2, ignored: 1 }));
        assert_eq!(counts("test result"), None);
        assert_eq!(reason("test a_name ... ignored, why"), Some("why"));
        assert_eq!(reason("test a_name   ... ignored (why)"), Some("why"));
        assert_eq!(reason("test a_name ... ok"), None);
        assert_eq!(reason("test src/lib.rs - a_name (line 14) ... ignored"), None, "a doctest");
    }
}
