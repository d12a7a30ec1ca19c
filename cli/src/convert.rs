//! `coffer convert`: from annotations of the Vault Agent Injector to SecretProviderClasses.

mod class;
mod cluster;
mod conversion;
mod document;
mod file;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod go_text;
mod injection;
mod known;
mod live;
mod outcome;
mod patch;
mod pod_change;
mod refine;
mod report;
mod template_text;
mod workload;
mod write;
mod yaml;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use coffer_kubernetes::{CALL_TIMEOUT, ConnectError, KubeConnection};
use rustls::crypto::CryptoProvider;
use thiserror::Error;

use self::class::ConvertedClass;
use self::conversion::ClassNames;
use self::live::{LiveMounts, LiveMountsError, Pod};
use self::outcome::ConvertOutcome;
use self::refine::Asked;
use self::report::{ConvertFinding, ConvertReport};
use self::write::ConvertOutput;
use self::yaml::value::PlainValue;
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
    /// The settings for questions to Vault cannot be used.
    #[error(transparent)]
    Live(#[from] LiveMountsError),
}

/// What conversions share.
struct ConvertContext<'a> {
    /// The names of classes that are taken.
    names: ClassNames,
    /// The provider of the classes, if the command line names one.
    provider: Option<&'a str>,
    live: Option<LiveMounts<'a>>,
    /// Questions to Vault that were not answered, and why.
    failures: Vec<String>,
}

impl ConvertContext<'_> {
    /// Asks Vault for the path of KV version 2 that a class has to read. After a failure nothing is
    /// asked with the same login.
    fn versioned_path(&mut self, class: &ConvertedClass, pod: &Pod<'_>, path: &str) -> Asked {
        let Some(live) = &mut self.live else { return Asked::Unknown };
        live.ask(class, pod, path).unwrap_or_else(|error| {
            self.failures.push(format!("{}: cannot ask Vault about {path}: {error:#}", pod.workload));
            Asked::Unknown
        })
    }
}

/// Converts, writes what comes of it, and reports.
pub(crate) fn run(args: &ConvertArgs) -> Result<ExitCode, ConvertError> {
    // fails only if a crypto provider is installed already, which serves as well
    let _ = CryptoProvider::clone(&coffer_connect::crypto_provider()).install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ConvertError::Runtime)?;
    let connection = if args.needs_cluster() {
        let choice = args.kubeconfig.choice();
        Some(runtime.block_on(KubeConnection::open_chosen(&choice, Some(CALL_TIMEOUT)))?)
    } else {
        None
    };
    let live = args.live.then(|| LiveMounts::new(args, &runtime, connection.as_ref())).transpose()?;
    let provider = args.provider.as_deref();
    let mut context = ConvertContext { names: ClassNames::default(), provider, live, failures: Vec::new() };
    let mut report = ConvertReport::default();
    let output = match connection.as_ref().filter(|_| args.cluster) {
        Some(connection) => {
            let namespace = args.namespace.as_deref().unwrap_or(&connection.namespace);
            let namespace = (!args.all_namespaces).then_some(namespace);
            let workloads = cluster::workloads(connection, namespace, &mut context.names);
            from_cluster(&runtime.block_on(workloads)?, &mut context, &mut report)
        }
        None => from_files(args, &mut context, &mut report),
    };
    report.failures.append(&mut context.failures);
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

fn from_files(
    args: &ConvertArgs,
    context: &mut ConvertContext<'_>,
    report: &mut ConvertReport,
) -> ConvertOutput {
    let files = files::read(&args.paths, &mut report.failures);
    files.iter().for_each(|file| file::take_names(file, &mut context.names));
    let mut converted = Vec::new();
    for file in &files {
        converted.extend(file::convert(file, context, report));
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

fn from_cluster(
    workloads: &[PlainValue],
    context: &mut ConvertContext<'_>,
    report: &mut ConvertReport,
) -> ConvertOutput {
    let mut patches = Vec::new();
    for object in workloads {
        let patch = cluster::convert(object, context, report);
        patches
            .extend(patch.map(|patch| (PathBuf::from(patch.namespace.clone().unwrap_or_default()), patch)));
    }
    ConvertOutput::patches(patches)
}
