//! `coffer check`: finds every mistake in SecretProviderClasses before a pod uses them.

mod checked_class;
mod cluster;
mod live;
mod position;
mod report;
mod source;

use std::io;
use std::process::ExitCode;

use coffer_kubernetes::{CALL_TIMEOUT, ConnectError, KubeConnection};
use coffer_provider::{Policy, PolicyFile, PolicyFileError};
use rustls::crypto::CryptoProvider;
use thiserror::Error;

use self::checked_class::CheckedClass;
use self::cluster::ClusterError;
use self::live::{LiveCheck, LiveError};
use self::report::CheckReport;
use self::source::ManifestSource;
use crate::args::{CheckArgs, OutputFormat};
use crate::manifest::class;
use crate::table::{printable, printable_json};

/// The providers that Coffer can stand in for.
const PROVIDERS: [&str; 2] = ["openbao", "vault"];

/// Why nothing was checked.
#[derive(Debug, Error)]
pub(crate) enum CheckError {
    /// The runtime for requests does not start.
    #[error("cannot start a runtime: {0}")]
    Runtime(#[source] io::Error),
    /// There is no connection to kube-apiserver.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The cluster's classes cannot be listed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The settings of a live check cannot be used.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
}

/// What classes are checked against.
struct ClassChecks<'a> {
    providers: &'a [String],
    policy: Option<&'a Policy>,
    /// The namespace of classes that name none.
    namespace: &'a str,
    live: Option<&'a LiveCheck>,
}

/// Checks, and prints what was found.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, CheckError> {
    // fails only if a crypto provider is installed already, which serves as well
    let _ = CryptoProvider::clone(&coffer_connect::crypto_provider()).install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = runtime.map_err(CheckError::Runtime)?.block_on(check(args))?;
    match args.output {
        OutputFormat::Text => print!("{}", report.text()),
        OutputFormat::Json => print!("{}", printable_json(&report.json())),
    }
    for failure in &report.failures {
        eprintln!("coffer: {}", printable(failure));
    }
    Ok(report.exit_code(args.strict))
}

async fn check(args: &CheckArgs) -> Result<CheckReport, CheckError> {
    let mut report = CheckReport::default();
    let policy = args.policy.as_ref().map(PolicyFile::open).transpose()?.map(|file| file.policy());
    let connection = if args.needs_cluster() {
        Some(KubeConnection::open_chosen(&args.kubeconfig.choice(), Some(CALL_TIMEOUT)).await?)
    } else {
        None
    };
    let namespace = args.namespace.as_deref().or(connection.as_ref().map(|open| open.namespace.as_str()));
    let sources = match connection.as_ref().filter(|_| args.cluster) {
        Some(connection) => {
            let namespace = namespace.filter(|_| !args.all_namespaces);
            vec![cluster::classes(connection, namespace).await?]
        }
        None => source::read(&args.paths, &mut report),
    };
    let live = args.live.then(|| LiveCheck::new(args, connection.as_ref())).transpose()?;
    let checks = ClassChecks {
        providers: &args.providers,
        policy: policy.as_deref(),
        namespace: namespace.unwrap_or("default"),
        live: live.as_ref(),
    };
    for source in &sources {
        check_source(source, &checks, &mut report).await;
    }
    if report.classes == 0 && report.findings.is_empty() && !args.cluster {
        report.failures.push("there is no SecretProviderClass in what was given".to_owned());
    }
    Ok(report)
}

async fn check_source(source: &ManifestSource, checks: &ClassChecks<'_>, report: &mut CheckReport) {
    let objects = source.documents.iter().flat_map(class::objects);
    for object in objects.filter(|object| class::is_class(object)) {
        let mut checked = CheckedClass::new(source, class::read(object));
        report.classes += 1;
        if is_selected(checks.providers, &checked.class().provider) {
            checked.check();
            if let Some(policy) = checks.policy {
                checked.check_policy(policy, checks.namespace);
            }
            if let Some(live) = checks.live.filter(|_| checked.is_valid()) {
                report.failures.extend(live.check(&mut checked).await);
            }
        } else {
            checked.skip();
        }
        report.findings.extend(checked.findings);
        report.files.extend(checked.files);
    }
}

/// Tells whether classes of this provider are checked; without any named, Coffer's are.
fn is_selected(named: &[String], provider: &str) -> bool {
    // a class without a provider is checked, so that the mistake is found
    provider.is_empty()
        || if named.is_empty() {
            PROVIDERS.contains(&provider)
        } else {
            named.iter().any(|name| name == provider)
        }
}
