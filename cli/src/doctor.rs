//! `coffer doctor`: one look at a whole installation. It changes nothing.

mod agents;
mod api_service;
mod audiences;
mod classes;
mod command;
mod driver;
mod driver_chart;
mod logins;
mod needs;
mod nodes;
mod object;
mod placement;
mod report;
mod right;
mod rights;
mod vault;
mod vault_settings;
mod view;
mod workload;

use std::io;
use std::process::ExitCode;

use coffer_kubernetes::{CALL_TIMEOUT, CallError, ConnectError, KubeConnection, call};
use rustls::crypto::CryptoProvider;
use thiserror::Error;

use self::report::DoctorReport;
use self::view::ClusterView;
use crate::args::{DoctorArgs, OutputFormat};
use crate::table::printable_json;

/// Why nothing was looked at.
#[derive(Debug, Error)]
pub(crate) enum DoctorError {
    /// The runtime for requests does not start.
    #[error("cannot start a runtime: {0}")]
    Runtime(#[source] io::Error),
    /// There is no connection to kube-apiserver.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// kube-apiserver does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Looks at an installation, and prints what was found.
pub(crate) fn run(args: &DoctorArgs) -> Result<ExitCode, DoctorError> {
    // fails only if a crypto provider is installed already, which serves as well
    let _ = CryptoProvider::clone(&coffer_connect::crypto_provider()).install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = runtime.map_err(DoctorError::Runtime)?.block_on(examine(args))?;
    match args.output {
        OutputFormat::Text => print!("{}", report.text()),
        OutputFormat::Json => print!("{}", printable_json(&report.json())),
    }
    Ok(report.exit_code(args.strict))
}

/// Looks at everything, in the order in which a mount needs it.
async fn examine(args: &DoctorArgs) -> Result<DoctorReport, DoctorError> {
    let connection = KubeConnection::open_chosen(&args.kubeconfig.choice(), Some(CALL_TIMEOUT)).await?;
    is_reachable(&connection).await?;
    let view = ClusterView::of(connection, &args.namespaces).await;
    let mut report = DoctorReport::default();
    driver::examine(&view, &mut report).await;
    agents::examine(&view, &mut report).await;
    rights::examine(&view, &mut report).await;
    vault::examine(args, &view, &mut report).await;
    api_service::examine(&view, &mut report).await;
    classes::examine(&view, &mut report).await;
    logins::examine(args, &view, &mut report).await;
    Ok(report)
}

/// Finds out whether kube-apiserver answers this user at all. A refusal is an answer.
async fn is_reachable(connection: &KubeConnection) -> Result<(), CallError> {
    let request = http::Request::get("/version").body(Vec::new()).unwrap_or_default();
    match call(CALL_TIMEOUT, connection.client.request::<serde_json::Value>(request)).await {
        Err(error) if error.status() != Some(403) => Err(error),
        _ => Ok(()),
    }
}
