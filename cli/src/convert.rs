//! `coffer convert`: from annotations of the Vault Agent Injector to SecretProviderClasses.

mod class;
mod cluster;
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

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use coffer_kubernetes::{CALL_TIMEOUT, ConnectError, KubeConnection};
use rustls::crypto::CryptoProvider;
use thiserror::Error;

use self::conversion::ClassNames;
use self::outcome::ConvertOutcome;
use self::report::{ConvertFinding, ConvertReport};
use self::write::ConvertOutput;
use crate::args::{ConvertArgs, OutputFormat};
use crate::manifest::files;
use crate::object_list::ListError;
use crate::table::{printable, printable_json};

/// Why nothing was converted.
#[derive(Debug, Error)]
pub(crate) enum ConvertError {
    /// The runtime for requests does not start.
    #[error("cannot start a runtime: {0}")]
    Runtime(#[source] io::Error),
    /// There is no connection to kube-apiserver.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The cluster's workloads cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
}

/// Converts, writes what comes of it, and reports.
pub(crate) fn run(args: &ConvertArgs) -> Result<ExitCode, ConvertError> {
    // fails only if a crypto provider is installed already, which serves as well
    let _ = CryptoProvider::clone(&coffer_connect::crypto_provider()).install_default();
    let mut report = ConvertReport::default();
    let output = if args.cluster { from_cluster(args, &mut report)? } else { from_files(args, &mut report) };
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

fn from_files(args: &ConvertArgs, report: &mut ConvertReport) -> ConvertOutput {
    let mut names = ClassNames::default();
    let files = files::read(&args.paths, &mut report.failures);
    files.iter().for_each(|file| file::take_names(file, &mut names));
    let mut converted = Vec::new();
    for file in &files {
        converted.extend(file::convert(file, &mut names, args.provider.as_deref(), report));
    }
    if !args.patch {
        return ConvertOutput::manifests(converted);
    }
    let mut patches = Vec::new();
    for file in converted {
        let directory = file.path.parent().map(PathBuf::from).unwrap_or_default();
        for patch in file.patches {
            report.findings.extend(patch.refusal.map(|message| ConvertFinding {
                outcome: ConvertOutcome::NeedsPerson,
                file: Some(file.name.clone()),
                at: None,
                namespace: patch.namespace.clone(),
                workload: Some(patch.name.replacen('-', "/", 1)),
                annotation: None,
                message: message.to_owned(),
            }));
            patches.push((directory.clone(), patch));
        }
    }
    ConvertOutput::patches(patches)
}

fn from_cluster(args: &ConvertArgs, report: &mut ConvertReport) -> Result<ConvertOutput, ConvertError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ConvertError::Runtime)?;
    let mut names = ClassNames::default();
    let workloads = runtime.block_on(async {
        let connection = KubeConnection::open_chosen(&args.kubeconfig_choice(), Some(CALL_TIMEOUT)).await?;
        let namespace = args.namespace.as_deref().unwrap_or(&connection.namespace);
        let namespace = (!args.all_namespaces).then_some(namespace);
        Ok::<_, ConvertError>(cluster::workloads(&connection, namespace, &mut names).await?)
    })?;
    let mut patches = Vec::new();
    for object in &workloads {
        let patch = cluster::convert(object, &mut names, args.provider.as_deref(), report);
        patches.extend(patch.map(|patch| (PathBuf::from(patch.namespace.clone().unwrap_or_default()), patch)));
    }
    Ok(ConvertOutput::patches(patches))
}
