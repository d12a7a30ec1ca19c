//! The programs that read the files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coffer_tests::workspace;
use data_encoding::BASE64;

use crate::value::FoundValue;

/// Keys and values.
pub(crate) type Pairs = BTreeMap<String, String>;

/// systemd's program for files in the format of `EnvironmentFile=`. Unlike that setting it expands
/// variables, and `$$` is a `$`; and it ignores a variable without a value.
pub(crate) const ENVIRONMENT_GENERATOR: &str =
    "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

/// Returns why PyYAML cannot be used, if so.
pub(crate) fn no_pyyaml() -> Option<&'static str> {
    let works = run(Command::new(python()).args(["-c", "import yaml"])).is_ok();
    (!works).then_some("needs PyYAML: cargo xtask test brings it")
}

/// Returns why Java cannot be used, if so.
pub(crate) fn no_java() -> Option<&'static str> {
    let works = run(Command::new("javac").arg("--version")).is_ok();
    (!works).then_some("needs a JDK: install Debian's default-jdk-headless")
}

/// Returns why OpenSSL cannot be used, if so.
pub(crate) fn no_openssl() -> Option<&'static str> {
    let works = run(Command::new("openssl").arg("version")).is_ok();
    (!works).then_some("needs OpenSSL: install Debian's openssl")
}

/// Returns why systemd cannot be used, if so.
pub(crate) fn no_systemd() -> Option<&'static str> {
    (!Path::new(ENVIRONMENT_GENERATOR).is_file()).then_some("needs systemd's files: install Debian's systemd")
}

/// Returns what PyYAML reads in the files `*.yaml` of a folder, by their names.
pub(crate) fn read_yaml(folder: &Path, loader: &str) -> BTreeMap<String, FoundValue> {
    let script = own("read_yaml.py");
    let printed = run(Command::new(python()).arg(script).arg(folder).arg(loader)).unwrap();
    serde_json::from_slice(&printed).unwrap()
}

/// Returns what Java reads in the files `*.properties` of a folder, by their names and the way of
/// reading.
pub(crate) fn read_properties(folder: &Path) -> BTreeMap<(String, String), Pairs> {
    let printed = run(Command::new("java").arg(own("ReadProperties.java")).arg(folder)).unwrap();
    let mut found = BTreeMap::<_, Pairs>::new();
    for line in String::from_utf8(printed).unwrap().lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let text = |n: usize| String::from_utf8(BASE64.decode(words[n].as_bytes()).unwrap()).unwrap();
        let pairs = found.entry((words[0].to_owned(), words[1].to_owned())).or_default();
        pairs.insert(text(2), text(3));
    }
    found
}

/// Returns the environment after each of the files was sourced, in their order, without what the
/// shell itself sets.
pub(crate) fn read_variables(shell: &str, format: &str, files: &[PathBuf]) -> Vec<Pairs> {
    let mut command = Command::new(shell);
    let printed = run(command.env_clear().arg(own("read_variables.sh")).arg(format).args(files)).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let mut found = Vec::new();
    for entry in printed.split_terminator('\0') {
        match entry.split_once('=') {
            None => found.push(Pairs::new()),
            Some(("PWD" | "OLDPWD" | "SHLVL" | "_", _)) => {}
            Some((name, value)) => {
                found.last_mut().unwrap().insert(name.to_owned(), value.to_owned());
            }
        }
    }
    assert_eq!(found.len(), files.len(), "a file could not be sourced");
    found
}

/// Returns the variables that systemd reads in a file.
pub(crate) fn read_environment_file(text: &str) -> Pairs {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("environment.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("f.conf"), text).unwrap();
    let mut command = Command::new(ENVIRONMENT_GENERATOR);
    let printed =
        run(command.env_clear().env("XDG_CONFIG_HOME", home.path()).env("HOME", home.path())).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let lines = printed.lines().map(|line| line.split_once('=').unwrap());
    lines.map(|(name, value)| (name.to_owned(), unquoted(value))).collect()
}

/// Runs a program, and returns what it prints.
///
/// # Errors
/// What it printed as errors, if it does not start or fails.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{command:?}: {errors}")) }
}

/// Returns a value of the generator's output, which may be in quotes with the escapes of C.
fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        text.push(match c {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other @ ('"' | '\\' | '$' | '`')) => other,
                other => panic!("unknown escape {other:?} in {value}"),
            },
            other => other,
        });
    }
    text
}

fn own(name: impl AsRef<OsStr>) -> PathBuf {
    workspace().join("tests/tests/formats").join(Path::new(&name))
}

/// Returns the Python that has PyYAML.
fn python() -> PathBuf {
    workspace().join("target/pyyaml/bin/python")
}
