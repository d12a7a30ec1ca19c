//! `coffer check`: finds every mistake in SecretProviderClasses before a pod uses them.

mod checked_class;
mod cluster;
mod live;
mod position;
mod report;
mod source;

use std::io;
use std::process::ExitCode;

use thiserror::Error;

use self::checked_class::CheckedClass;
use self::cluster::ClusterError;
use self::live::{LiveCheck, LiveError};
use self::report::CheckReport;
use self::source::ManifestSource;
use crate::args::{CheckArgs, OutputFormat};
use crate::manifest::class;

/// The providers that Coffer can stand in for.
const PROVIDERS: [&str; 2] = ["openbao", "vault"];

/// Why nothing was checked.
#[derive(Debug, Error)]
pub(crate) enum CheckError {
    /// The runtime for requests does not start.
    #[error("cannot start a runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The cluster's classes cannot be listed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The settings of a live check cannot be used.
    #[error(transparent)]
    Live(#[from] LiveError),
}

/// Checks, and prints what was found.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, CheckError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = runtime.map_err(CheckError::Runtime)?.block_on(check(args))?;
    match args.output {
        OutputFormat::Text => print!("{}", report.text()),
        OutputFormat::Json => print!("{}", report.json()),
    }
    for failure in &report.failures {
        eprintln!("coffer: {failure}");
    }
    Ok(report.exit_code(args.strict))
}

async fn check(args: &CheckArgs) -> Result<CheckReport, CheckError> {
    let mut report = CheckReport::default();
    let sources = if args.cluster {
        vec![cluster::classes(args.namespace.as_deref(), args.all_namespaces).await?]
    } else {
        source::read(&args.paths, &mut report)
    };
    let live = args.live.then(|| LiveCheck::new(args)).transpose()?;
    for source in &sources {
        check_source(source, &args.providers, live.as_ref(), &mut report).await;
    }
    if report.classes == 0 && report.findings.is_empty() && !args.cluster {
        report.failures.push("there is no SecretProviderClass in what was given".to_owned());
    }
    Ok(report)
}

async fn check_source(
    source: &ManifestSource,
    providers: &[String],
    live: Option<&LiveCheck>,
    report: &mut CheckReport,
) {
    let objects = source.documents.iter().flat_map(class::objects);
    for object in objects.filter(|object| class::is_class(object)) {
        let mut checked = CheckedClass::new(source, class::read(object));
        report.classes += 1;
        if is_selected(providers, &checked.class().provider) {
            checked.check();
            if let Some(live) = live.filter(|_| checked.is_valid()) {
                report.failures.extend(live.check(&mut checked).await);
            }
        } else {
            checked.skip();
        }
        report.findings.extend(checked.findings);
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
