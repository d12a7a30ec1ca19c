//! `coffer convert`: from annotations of the Vault Agent Injector to SecretProviderClasses.

mod class;
mod conversion;
mod document;
mod file;
mod go_text;
mod injection;
mod known;
mod outcome;
mod patch;
mod pod_change;
mod report;
mod workload;
mod write;
mod yaml;

use std::process::ExitCode;

use thiserror::Error;

use self::conversion::ClassNames;
use self::report::ConvertReport;
use self::write::Output;
use crate::args::{ConvertArgs, OutputFormat};
use crate::manifest::files;
use crate::table::{printable, printable_json};

/// Why nothing was converted.
#[derive(Debug, Error)]
pub(crate) enum ConvertError {}

/// Converts, writes what comes of it, and reports.
pub(crate) fn run(args: &ConvertArgs) -> Result<ExitCode, ConvertError> {
    let mut report = ConvertReport::default();
    let mut names = ClassNames::default();
    let files = files::read(&args.paths, &mut report.failures);
    files.iter().for_each(|file| file::take_names(file, &mut names));
    let converted: Vec<_> = files
        .iter()
        .filter_map(|file| file::convert(file, &mut names, args.provider.as_deref(), &mut report))
        .collect();
    let output = Output::of(converted, args.patch);
    let mut manifests = None;
    match &args.out {
        Some(directory) => output.write(directory, args.overwrite, &mut report),
        None => manifests = Some(output.text()),
    }
    match args.output {
        OutputFormat::Text => {
            print!("{}", manifests.unwrap_or_default());
            eprint!("{}", report.text());
        }
        OutputFormat::Json => print!("{}", printable_json(&report.json(manifests.as_deref()))),
    }
    for failure in &report.failures {
        eprintln!("coffer: {}", printable(failure));
    }
    Ok(report.exit_code(args.strict))
}
