//! `cargo xtask bench`: builds what is measured and what measures it, and runs the benchmark.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{self, Binary, COFFER_API_SERVER, COFFER_CSI, harness, target_dir};
use crate::servers::{self, Server};
use crate::{openbao, packages};

/// A part of the benchmark, which is one run of the harness.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BenchPart {
    Csi,
    Formats,
    Leases,
    Metrics,
    Api,
}

/// What was asked for on the command line.
pub(crate) struct BenchOptions {
    parts: Vec<BenchPart>,
    /// Another `coffer-csi`, which is measured in the same rounds.
    beside: Option<PathBuf>,
    /// Short rounds.
    quick: bool,
}

impl BenchOptions {
    /// Reads `[WHAT] [--beside PATH] [--quick]`; `None` if the arguments are anything else.
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let mut options = Self { parts: Vec::new(), beside: None, quick: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "csi" => options.parts.push(BenchPart::Csi),
                "formats" => options.parts.push(BenchPart::Formats),
                "leases" => options.parts.push(BenchPart::Leases),
                "metrics" => options.parts.push(BenchPart::Metrics),
                "api" => options.parts.push(BenchPart::Api),
                "--beside" => options.beside = Some(arguments.next()?.into()),
                "--quick" => options.quick = true,
                _ => return None,
            }
        }
        if options.parts.is_empty() {
            options.parts = vec![
                BenchPart::Csi,
                BenchPart::Formats,
                BenchPart::Leases,
                BenchPart::Metrics,
                BenchPart::Api,
            ];
        }
        // Only mounts are measured beside another binary.
        let used = options.beside.is_none() || options.parts.contains(&BenchPart::Csi);
        used.then_some(options)
    }

    /// Returns the harness's arguments for a part.
    fn arguments(&self, part: BenchPart) -> Result<Vec<OsString>> {
        let mut arguments = vec![part.name().into()];
        if self.quick {
            arguments.push("--quick".into());
        }
        if let Some(beside) = self.beside.as_ref().filter(|_| part == BenchPart::Csi) {
            // The harness runs in another directory than this program.
            let binary = beside.canonicalize();
            let binary = binary.with_context(|| format!("cannot find {}", beside.display()))?;
            arguments.extend(["--beside".into(), binary.into()]);
        }
        Ok(arguments)
    }
}

/// Runs the parts that were asked for, one after the other.
pub(crate) fn run(options: &BenchOptions) -> Result<()> {
    openbao::bring()?;
    for part in &options.parts {
        let arguments = options.arguments(*part)?;
        if *part == BenchPart::Leases {
            packages::bring_postgres()?;
        }
        servers::bring(part.servers())?;
        // Alone, so that no other package's features get into what is shipped.
        cargo::build("dist", &[part.measured()])?;
        let bench = harness("coffer-bench");
        cargo::build("release", &[bench])?;
        let mut command = Command::new(target_dir().join("release").join(bench.name));
        cargo::run(command.args(arguments).env("COFFER_BIN_DIR", target_dir().join("dist")))?;
    }
    Ok(())
}

impl BenchPart {
    fn name(self) -> &'static str {
        match self {
            Self::Csi => "csi",
            Self::Formats => "formats",
            Self::Leases => "leases",
            Self::Metrics => "metrics",
            Self::Api => "api",
        }
    }

    /// Returns the binary that is measured.
    fn measured(self) -> Binary {
        match self {
            Self::Csi | Self::Formats | Self::Leases | Self::Metrics => COFFER_CSI,
            Self::Api => COFFER_API_SERVER,
        }
    }

    fn servers(self) -> &'static [Server] {
        match self {
            Self::Csi => &[Server::MountLoad, Server::VaultRelay],
            Self::Formats | Self::Metrics => &[],
            Self::Leases | Self::Api => &servers::CLUSTER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed_and_anything_else_is_refused() {
        let parse = |line: &str| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let options = BenchOptions::parse(&words)?;
            let parts: Vec<_> = options.parts.iter().map(|part| part.name()).collect();
            Some(format!("{} {:?} {}", parts.join(","), options.beside, options.quick))
        };
        assert_eq!(parse("").as_deref(), Some("csi,formats,leases,metrics,api None false"));
        assert_eq!(parse("api --quick").as_deref(), Some("api None true"));
        assert_eq!(parse("csi --beside old").as_deref(), Some("csi Some(\"old\") false"));
        assert_eq!(
            parse("--beside old").as_deref(),
            Some("csi,formats,leases,metrics,api Some(\"old\") false")
        );
        for wrong in ["mounts", "--beside", "api --beside old"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
