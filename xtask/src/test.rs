//! `cargo xtask test`: builds everything, runs every test, and counts.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;

use crate::cargo::cargo;
use crate::leftovers::Folder;
use crate::openbao;
use crate::packages;
use crate::servers;
use crate::step::{self, Event};

/// Runs `cargo test` over the workspace. Shown are its summary lines, and all about what failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    openbao::bring()?;
    packages::bring_postgres()?;
    packages::bring_fake_time()?;
    if let Err(reason) = packages::bring_container_tools() {
        eprintln!("{reason}; the tests of the images are skipped");
    }
    servers::bring()?;
    let mut build = cargo();
    build.args(["build", "--workspace", "--bins"]);
    step::run("building the binaries", &mut build)?;

    let folder = Folder::new("test")?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments).env("TMPDIR", folder.path());
    let mut report = Report::default();
    eprintln!("testing …");
    let status = step::watch(with_threads(&mut command), |event| report.take(&event));
    let left = folder.clear();
    let tested = report.close(status?.success());
    if left.is_empty() { tested } else { Err(format!("left behind, and removed now:\n{}", left.join("\n"))) }
}

/// Most tests wait for a server most of their time: more of them than cores may run at once.
fn with_threads(command: &mut Command) -> &mut Command {
    const NAME: &str = "RUST_TEST_THREADS";
    if std::env::var_os(NAME).is_none() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        command.env(NAME, cores.max(4).to_string());
    }
    command
}

/// What is known of the run so far.
#[derive(Default)]
struct Report {
    suite: String,
    lines: Vec<String>,
    total: Counts,
    /// Why tests were skipped, and how many for each reason.
    reasons: BTreeMap<String, u32>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Report {
    fn take(&mut self, event: &Event<'_>) {
        let line = match event {
            Event::Line(line) => *line,
            Event::Waiting(passed) => {
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

    fn finish(&mut self, line: &str, counts: Counts) {
        if counts.failed > 0 {
            self.lines.iter().for_each(|line| println!("{line}"));
        }
        if counts != Counts::default() {
            println!("{:>30} {line}", self.suite);
        }
        self.lines.clear();
        self.total.passed += counts.passed;
        self.total.failed += counts.failed;
        self.total.ignored += counts.ignored;
    }

    fn close(&self, success: bool) -> Result<(), String> {
        let Counts { passed, failed, ignored } = self.total;
        if !success && failed == 0 {
            // Not a test but the build, or a test program as a whole.
            self.lines.iter().for_each(|line| println!("{line}"));
        }
        self.reasons.iter().for_each(|(reason, number)| println!("{number} skipped: {reason}"));
        println!("{passed} passed, {failed} failed, {ignored} skipped");
        if success { Ok(()) } else { Err("cargo test failed".to_owned()) }
    }
}

/// `     Running tests/mount/main.rs (target/…)` and `   Doc-tests coffer_proto` open a suite.
fn suite(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("documentation of {name}"));
    }
    let (source, program) = line.strip_prefix("Running ")?.split_once(" (")?;
    let Some(source) = source.strip_prefix("unittests ") else {
        return Some(source.to_owned());
    };
    // `…/deps/coffer_provider-0123456789abcdef)`: unit tests go by their crate.
    let program = program.rsplit('/').next().unwrap_or(source);
    Some(format!("units of {}", program.split('-').next().unwrap_or(program)))
}

/// Why a test was skipped: of `test a_name ... ignored, why`, or with the reason in brackets.
fn reason(line: &str) -> Option<&str> {
    let (_, reason) = line.strip_prefix("test ")?.split_once("... ignored")?;
    reason.strip_prefix(", ").or_else(|| reason.strip_prefix(" (")?.strip_suffix(')'))
}

/// The counts of `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
fn counts(line: &str) -> Option<Counts> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
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
    fn cargo_s_lines_are_understood() {
        assert_eq!(
            suite("     Running tests/mount/main.rs (target/debug/deps/mount-1a2b)").as_deref(),
            Some("tests/mount/main.rs")
        );
        let unit = "     Running unittests src/lib.rs (target/debug/deps/coffer_provider-1a2b)";
        assert_eq!(suite(unit).as_deref(), Some("units of coffer_provider"));
        assert_eq!(suite("   Doc-tests coffer_proto").as_deref(), Some("documentation of coffer_proto"));
        assert_eq!(suite("running 5 tests"), None);

        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.50s";
        assert_eq!(counts(line), Some(Counts { passed: 5, failed: 2, ignored: 1 }));
        assert_eq!(counts("test result"), None);
        assert_eq!(reason("test a_name ... ignored, why"), Some("why"));
        assert_eq!(reason("test a_name   ... ignored (why)"), Some("why"));
        assert_eq!(reason("test a_name ... ok"), None);
    }
}
