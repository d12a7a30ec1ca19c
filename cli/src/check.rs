//! `coffer check`: finds every mistake in SecretProviderClasses before a pod does.

mod cluster;
mod live;
mod place;
mod report;
mod rules;
mod source;

use std::process::ExitCode;

use anyhow::Result;

use self::report::Report;
use crate::args::{Check, Output};
use crate::class::manifest;

/// The providers that Coffer stands in for.
const PROVIDERS: [&str; 2] = ["openbao", "vault"];

/// Checks, and prints what was found.
///
/// # Errors
/// What kept it from checking at all.
pub(crate) fn run(args: &Check) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(check(args))?;
    match args.output {
        Output::Text => print!("{}", report.text()),
        Output::Json => print!("{}", report.json()),
    }
    for failure in &report.failures {
        eprintln!("coffer: {failure}");
    }
    Ok(report.exit_code(args.strict))
}

async fn check(args: &Check) -> Result<Report> {
    let mut report = Report::default();
    let sources = if args.cluster {
        vec![cluster::classes(args.namespace.as_deref(), args.all_namespaces).await?]
    } else {
        source::read(&args.paths, &mut report)
    };
    let live = args.live.then(|| live::Live::new(args)).transpose()?;
    for source in &sources {
        for document in &source.documents {
            for object in manifest::objects(document) {
                if !manifest::is_class(object) {
                    continue;
                }
                let mut class = rules::Checked::new(source, manifest::read(object));
                report.classes += 1;
                if is_ours(&args.providers, &class.manifest.class.provider) {
                    class.check();
                    if let Some(live) = live.as_ref().filter(|_| class.is_sound()) {
                        report.failures.extend(live.check(&mut class).await);
                    }
                } else {
                    class.skip();
                }
                report.findings.extend(class.findings);
            }
        }
    }
    if report.classes == 0 && report.findings.is_empty() && !args.cluster {
        report.failures.push("there is no SecretProviderClass in what was given".to_owned());
    }
    Ok(report)
}

fn is_ours(named: &[String], provider: &str) -> bool {
    // a class that names none is told so
    provider.is_empty()
        || if named.is_empty() {
            PROVIDERS.contains(&provider)
        } else {
            named.iter().any(|name| name == provider)
        }
}
