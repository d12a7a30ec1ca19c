//! What was asked for on the command line.

use std::path::PathBuf;
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

impl SoakOptions {
    /// Reads `[--minutes N] [--seed S] [--pods N] [--fault-every SECONDS] [--report DIR]`; `None`
    /// if the arguments are anything else.
    pub fn parse(arguments: &[String]) -> Option<Self> {
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
            let value = arguments.next()?;
            match name.as_str() {
                "--minutes" => options.length = Duration::from_mins(at_least_one(value)?),
                "--fault-every" => every = Some(Duration::from_secs(at_least_one(value)?)),
                "--seed" => seed = Some(value.parse().ok()?),
                "--pods" => options.pods = usize::try_from(at_least_one(value)?).ok()?,
                "--report" => options.report = Some(value.into()),
                _ => return None,
            }
        }
        // A short run would have few faults otherwise.
        options.fault_every = every.unwrap_or(Duration::from_secs(if options.is_short() { 15 } else { 60 }));
        options.seed = seed.unwrap_or_else(now);
        Some(options)
    }

    /// Returns whether nobody waits for the run long enough to be told how it goes on.
    pub(super) fn is_short(&self) -> bool {
        self.length <= Duration::from_mins(5)
    }
}

fn at_least_one(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number > 0)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<SoakOptions> {
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
        for wrong in ["--minutes", "--minutes 0", "--pods many", "--fault-every 0", "2"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
