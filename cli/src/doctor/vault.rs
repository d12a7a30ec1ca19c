//! Vault, from here: does it answer, is it unsealed, and is the auth method there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::Kubernetes;
use coffer_provider::{Address, AuthMethodPresence, Error, ErrorKind, Settings, Target, VaultExamination};
use tokio::net::lookup_host;
use tokio::time::Instant;

use super::agents::provider_name;
use super::command::command;
use super::report::{DoctorReport, DoctorStatus};
use super::vault_settings;
use super::view::ClusterView;
use super::workload::Workload;
use crate::args::DoctorArgs;
use crate::vault_login::VaultLogin;

/// Time limit of the questions to one Vault.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Adds what is found of each Vault that a program uses.
pub(super) async fn examine(args: &DoctorArgs, view: &ClusterView, report: &mut DoctorReport) {
    let mut asked = BTreeSet::new();
    for workload in view.agents.iter().chain(&view.api_servers) {
        let settings = match vault_settings::of(workload, view, args).await {
            Ok(settings) => settings,
            Err(fault) => {
                report.unknown("vault.reachable", fault.to_string());
                continue;
            }
        };
        let address = settings.address.to_string();
        if asked.insert((address, settings.namespace.clone(), settings.auth_mount.clone())) {
            examine_one(workload, settings, report).await;
        }
    }
}

async fn examine_one(workload: &Workload, settings: Settings, report: &mut DoctorReport) {
    if let Some((service, namespace, port)) = unknown_service(&settings.address).await {
        let message = format!(
            "{} is a name of the cluster, which this machine cannot look up. Forward a port, and give \
             coffer doctor --vault-addr with it, and --vault-tls-server-name with the name",
            settings.address
        );
        let forward = ["kubectl", "port-forward", "--namespace", &namespace, &format!("service/{service}")];
        let command = command(forward.into_iter().chain([format!("8200:{port}").as_str()]));
        return report.add("vault.reachable", DoctorStatus::Unknown, message, Some(command));
    }
    let target = Target { address: settings.address.clone(), tls: settings.tls.clone() };
    let login =
        VaultLogin::with_settings(settings.clone(), Vec::new(), None, Arc::new(Kubernetes::default()));
    let at = (settings.namespace.as_deref(), settings.auth_mount.as_str());
    match login.provider.examine_vault(&target, at, Instant::now() + TIMEOUT).await {
        Ok(examination) => add(&examination, (workload, &settings), report),
        Err(error) => {
            let program = program(workload, None);
            let shown = command([program, "status", &format!("-address={}", settings.address)]);
            report.error("vault.reachable", format!("from here: {error:#}"), shown);
        }
    }
}

fn add(
    examination: &VaultExamination,
    (workload, settings): (&Workload, &Settings),
    report: &mut DoctorReport,
) {
    let VaultExamination { health, auth_method } = examination;
    let (address, mount) = (&settings.address, &settings.auth_mount);
    let program = program(workload, Some(&health.version));
    let at = format!("-address={address}");
    report.ok("vault.reachable", format!("{address} answers from here, version {}", health.version));
    if !health.initialized {
        let message = format!("Vault at {address} is not initialized");
        return report.error("vault.sealed", message, command([program, "operator", "init", &at]));
    }
    if health.sealed {
        let message = format!("Vault at {address} is sealed: every mount fails");
        return report.error("vault.sealed", message, command([program, "operator", "unseal", &at]));
    }
    report.ok("vault.sealed", format!("{address} is unsealed"));
    let namespace = settings.namespace.as_ref().map(|namespace| format!("-namespace={namespace}"));
    match auth_method {
        Some(Ok(AuthMethodPresence::Present)) => {
            report.ok("vault.auth", format!("an auth method is at auth/{mount}"));
        }
        Some(Ok(AuthMethodPresence::Absent)) => {
            let message = format!(
                "Vault at {address} has no auth method for service accounts at auth/{mount}. Enable it, and \
                 configure it as docs/operating.md says"
            );
            let path = format!("-path={mount}");
            let words = [program, "auth", "enable", &at].into_iter().chain(namespace.as_deref());
            report.error("vault.auth", message, command(words.chain([path.as_str(), "kubernetes"])));
        }
        Some(Err(error)) => report.unknown("vault.auth", refused(error, mount)),
        None => {}
    }
}

fn refused(error: &Error, mount: &str) -> String {
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::TimedOut => format!("auth/{mount}: {error:#}"),
        _ => format!("it cannot be told whether an auth method is at auth/{mount}: {error:#}"),
    }
}

/// Returns the program with which an operator works with that server.
fn program(workload: &Workload, version: Option<&str>) -> &'static str {
    let is_openbao = match version {
        // Vault is at 1, OpenBao at 2
        Some(version) => version.starts_with("2."),
        None => provider_name(workload).as_deref() == Some("openbao"),
    };
    if is_openbao { "bao" } else { "vault" }
}

/// Returns Service, namespace and port of an address that is a name of the cluster's network, if the
/// name cannot be looked up here.
async fn unknown_service(address: &Address) -> Option<(String, String, u16)> {
    let Address::Url(url) = address else { return None };
    let port = url.port_or_known_default()?;
    let (service, namespace) = service_of(url.host_str()?)?;
    match lookup_host((url.host_str()?, port)).await {
        Ok(_) => None,
        Err(_) => Some((service.to_owned(), namespace.to_owned(), port)),
    }
}

/// Returns name and namespace of the Service that has a name of the cluster's network, as in
/// `vault.vault.svc` and `vault.vault.svc.cluster.local`. A StatefulSet's pod is at its Service.
fn service_of(host: &str) -> Option<(&str, &str)> {
    let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
    let end = labels.iter().position(|label| *label == "svc").filter(|end| *end >= 2)?;
    Some((labels[end - 2], labels[end - 1]))
}

#[cfg(test)]
mod tests {
    use super::service_of;

    #[test]
    fn names_of_services_are_known() {
        assert_eq!(service_of("vault.secrets.svc"), Some(("vault", "secrets")));
        assert_eq!(service_of("vault.secrets.svc.cluster.local."), Some(("vault", "secrets")));
        assert_eq!(service_of("vault-0.vault-internal.secrets.svc"), Some(("vault-internal", "secrets")));
        assert_eq!(service_of("vault.example.com"), None);
        assert_eq!(service_of("svc.example"), None);
    }
}
