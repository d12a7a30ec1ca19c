//! What was asked for on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The options of a soak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoakOptions {
    /// How long faults are made.
    pub length: Duration,
    /// From one fault's begin to the next one's.
    pub fault_every: Duration,
    /// What everything is drawn from.
    pub seed: u64,
    /// How many pods live at a time.
    pub pods: usize,
    /// The directory for the report.
    pub report: Option<PathBuf>,
}

/// An argument that is no option, or has no right value.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongOption(String);

impl fmt::Display for WrongOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongOption {}

impl SoakOptions {
    /// Reads `[--minutes N] [--seed S] [--pods N] [--fault-every SECONDS] [--report DIR]`.
    ///
    /// # Errors
    /// [`WrongOption`], for the first argument that is anything else.
    pub fn parse(arguments: &[String]) -> Result<Self, WrongOption> {
        let mut options = Self {
            length: Duration::from_mins(20),
            fault_every: Duration::from_mins(1),
            seed: 0,
            pods: 100,
            report: None,
        };
        let (mut seed, mut every) = (None, None);
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().map(String::as_str).unwrap_or_default();
            match name.as_str() {
                "--minutes" => options.length = Duration::from_mins(number(name, value(), 1)?),
                "--fault-every" => every = Some(Duration::from_secs(number(name, value(), 1)?)),
                "--seed" => seed = Some(number(name, value(), 0)?),
                "--pods" => options.pods = number(name, value(), 1)?,
                "--report" => options.report = Some(directory(name, value())?),
                _ => return Err(WrongOption(format!("there is no option {name:?}"))),
            }
        }
        // A short run would have few faults otherwise.
        options.fault_every = every.unwrap_or(Duration::from_secs(if options.is_short() { 15 } else { 60 }));
        options.seed = seed.unwrap_or_else(now);
        Ok(options)
    }

    /// Returns whether nobody waits for the run long enough to be told how it goes on.
    pub(super) fn is_short(&self) -> bool {
        self.length <= Duration::from_mins(5)
    }
}

fn number<N: FromStr + PartialOrd + fmt::Display>(
    name: &str,
    text: &str,
    least: N,
) -> Result<N, WrongOption> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number
        .ok_or_else(|| WrongOption(format!("{name} takes a whole number of at least {least}, not {text:?}")))
}

fn directory(name: &str, text: &str) -> Result<PathBuf, WrongOption> {
    let is_given = !text.is_empty() && !text.starts_with("--");
    is_given
        .then(|| text.into())
        .ok_or_else(|| WrongOption(format!("{name} takes a directory, not {text:?}")))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<SoakOptions, WrongOption> {
        SoakOptions::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_parsed_and_anything_else_is_refused() {
        let usual = parse("").expect("no argument is needed");
        assert_eq!((usual.length.as_secs(), usual.fault_every.as_secs(), usual.pods), (1200, 60, 100));
        let all = parse("--minutes 2 --seed 7 --pods 9 --report out --fault-every 20").expect("options");
        let expected = SoakOptions {
            length: Duration::from_mins(2),
            fault_every: Duration::from_secs(20),
            seed: 7,
            pods: 9,
            report: Some("out".into()),
        };
        assert_eq!(all, expected);
        assert_eq!(parse("--minutes 2").expect("options").fault_every.as_secs(), 15);
        for (wrong, words) in [
            ("--minutes", "--minutes takes a whole number of at least 1, not \"\""),
            ("--minutes 0", "--minutes takes a whole number of at least 1, not \"0\""),
            ("--pods many", "--pods takes a whole number of at least 1, not \"many\""),
            ("--seed -1", "--seed takes a whole number of at least 0, not \"-1\""),
            ("--report --seed 1", "--report takes a directory, not \"--seed\""),
            ("--sead 2", "there is no option \"--sead\""),
        ] {
            assert_eq!(parse(wrong).expect_err(wrong).to_string(), words);
        }
    }
}
