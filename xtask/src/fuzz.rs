//! `cargo xtask fuzz`: builds the fuzz targets of `fuzz/` with cargo-fuzz on a nightly toolchain,
//! and runs them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::cargo::{run as run_command, target_dir, workspace};
use crate::cargo_tools::FUZZ;
use crate::nightly::{has_nightly, nightly};
use crate::step::{self, StepEvent};

/// Lines of a failed target's output that are shown: the panic, and where it was.
const SHOWN_LINES: usize = 50;

/// What is fuzzed, and for how long.
pub(crate) struct FuzzOptions {
    minutes: f64,
    /// What the inputs are drawn from; the time otherwise.
    seed: Option<u32>,
    targets: Vec<String>,
    /// Inputs that are repeated instead.
    inputs: Vec<String>,
}

impl FuzzOptions {
    /// Parses `[--minutes N] [--seed S] [TARGET…]` or `TARGET FILE…`. Without targets all run,
    /// each for one minute.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let all = targets()?;
        let mut options = Self { minutes: 1.0, seed: None, targets: Vec::new(), inputs: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--minutes" {
                let minutes = arguments.next().and_then(|text| text.parse().ok());
                options.minutes =
                    minutes.filter(|minutes| *minutes > 0.0).context("--minutes takes a number above 0")?;
            } else if argument == "--seed" {
                let seed = arguments.next().and_then(|text| text.parse().ok());
                options.seed = Some(seed.filter(|seed| *seed > 0).context("--seed takes a number above 0")?);
            } else if all.contains(argument) {
                options.targets.push(argument.clone());
            } else if options.targets.len() == 1 && Path::new(argument).is_file() {
                options.inputs.push(argument.clone());
            } else {
                bail!("there is no fuzz target {argument:?}, but {}", all.join(", "));
            }
        }
        if options.targets.is_empty() {
            options.targets = all;
        }
        Ok(options)
    }
}

/// Returns the names of all targets.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(fuzz_dir().join("fuzz_targets")).context("cannot list the fuzz targets")? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn fuzz_dir() -> PathBuf {
    workspace().join("fuzz")
}

/// What came of one target.
struct FuzzRun {
    target: String,
    /// Number of inputs that were tried.
    runs: String,
    /// Edges of the program that inputs reached.
    coverage: String,
    /// Features: edges with how often they were passed.
    features: String,
    /// Inputs that were added to the corpus.
    new: String,
    /// The inputs that failed.
    crashes: Vec<PathBuf>,
}

/// Builds and runs the targets, and prints a table of what came of them.
///
/// # Errors
/// If a target fails.
pub(crate) fn run(options: &FuzzOptions) -> Result<()> {
    if !has_nightly() {
        eprintln!("fuzzing is skipped: there is no nightly toolchain (rustup toolchain install nightly)");
        return Ok(());
    }
    let mut build = nightly(&FUZZ.bring()?);
    build.args(["fuzz", "build", "--sanitizer", "none", "--target-dir"]).arg(target_dir().join("fuzz"));
    step::run("building the fuzz targets", &mut build)?;

    if let [target] = &options.targets[..]
        && !options.inputs.is_empty()
    {
        return run_command(Command::new(binary(target)).args(&options.inputs));
    }
    let waiting = Mutex::new(options.targets.iter().cloned().collect::<VecDeque<_>>());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let worker = || -> Result<Vec<FuzzRun>> {
        let mut runs = Vec::new();
        while let Some(target) = next() {
            runs.push(run_target(&target, options)?);
        }
        Ok(runs)
    };
    let mut runs: Vec<FuzzRun> = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let done =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a thread panicked")));
        done.collect::<Result<Vec<_>>>().map(|runs| runs.into_iter().flatten().collect())
    })?;
    runs.sort_by(|one, other| one.target.cmp(&other.target));
    print_table(&runs);
    let failed: Vec<&FuzzRun> = runs.iter().filter(|run| !run.crashes.is_empty()).collect();
    for crash in failed.iter().flat_map(|run| run.crashes.iter().map(|crash| (&run.target, crash))) {
        eprintln!("to repeat: cargo xtask fuzz {} {}", crash.0, crash.1.display());
    }
    if failed.is_empty() { Ok(()) } else { bail!("{} fuzz targets failed", failed.len()) }
}

fn binary(target: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    target_dir().join("fuzz").join(triple).join("release").join(target)
}

fn run_target(target: &str, options: &FuzzOptions) -> Result<FuzzRun> {
    let dir = |kind: &str| fuzz_dir().join(kind).join(target);
    let (corpus, artifacts) = (dir("corpus"), dir("artifacts"));
    for dir in [&corpus, &artifacts] {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let before = files(&artifacts);
    let mut command = Command::new(binary(target));
    command.arg(&corpus).arg(dir("seeds")).args(["-timeout=120", "-rss_limit_mb=1024", "-max_len=8192"]);
    command.arg("-print_final_stats=1");
    command.arg(format!("-max_total_time={}", (options.minutes * 60.0).ceil()));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(options.seed.map(|seed| format!("-seed={seed}")));
    let dictionary = fuzz_dir().join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    eprintln!("fuzzing {target} …");
    let (mut status, mut said) = (FuzzStatus::default(), Vec::new());
    let ended = step::watch(&mut command, |event| {
        if let StepEvent::Line(line) = event
            && !status.read(line)
            && said.len() < SHOWN_LINES
        {
            said.push(line.to_owned());
        }
    })?;
    let crashes: Vec<PathBuf> = files(&artifacts).into_iter().filter(|file| !before.contains(file)).collect();
    if !ended.success() {
        said.iter().for_each(|line| eprintln!("{target}: {line}"));
        if crashes.is_empty() {
            bail!("the fuzz target {target} failed: {ended}");
        }
    }
    let FuzzStatus { runs, coverage, features, new } = status;
    Ok(FuzzRun { target: target.to_owned(), runs, coverage, features, new, crashes })
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// What libFuzzer says while it runs.
#[derive(Default)]
struct FuzzStatus {
    runs: String,
    coverage: String,
    features: String,
    new: String,
}

impl FuzzStatus {
    /// Reads a line such as `#8192 pulse cov: 12 ft: 34 corp: 5/67b …`, or a final figure. Returns
    /// whether it was one.
    fn read(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1).map(|word| (*word).to_owned())
        };
        match words.first() {
            Some(first) if first.starts_with('#') => {
                self.runs = first[1..].to_owned();
                self.coverage = after("cov:").unwrap_or(std::mem::take(&mut self.coverage));
                self.features = after("ft:").unwrap_or(std::mem::take(&mut self.features));
            }
            Some(&"stat::number_of_executed_units:") => self.runs = words[1..].concat(),
            Some(&"stat::new_units_added:") => self.new = words[1..].concat(),
            _ => return false,
        }
        true
    }
}

fn print_table(runs: &[FuzzRun]) {
    println!("{:<18}{:>12}{:>9}{:>10}{:>8}{:>9}", "target", "runs", "cov", "features", "new", "crashes");
    for FuzzRun { target, runs, coverage, features, new, crashes } in runs {
        println!("{target:<18}{runs:>12}{coverage:>9}{features:>10}{new:>8}{:>9}", crashes.len());
    }
}
