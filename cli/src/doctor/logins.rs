//! `--login`: logs in to Vault with each class of a namespace, as a service account of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_kubernetes::Kubernetes;
use coffer_provider::{Error, ErrorKind, Identity};
use serde_json::Value;

use super::agents::provider_name;
use super::audiences::usual;
use super::classes::{checked_live, manifest, provider};
use super::command::command;
use super::object::namespace;
use super::report::DoctorReport;
use super::vault_settings;
use super::view::ClusterView;
use super::workload::Workload;
use crate::args::{DoctorArgs, NamedAccount};
use crate::manifest::class::ClassManifest;
use crate::vault_login::VaultLogin;

/// Adds a line for each class of the accounts' namespaces.
pub(super) async fn examine(args: &DoctorArgs, view: &ClusterView, report: &mut DoctorReport) {
    let Ok(Some(classes)) = &view.classes else { return };
    for account in &args.logins {
        let of_namespace: Vec<&Value> =
            classes.iter().filter(|class| namespace(class) == account.namespace).collect();
        let tried = try_classes((args, view), account, &of_namespace, report).await;
        if tried == 0 {
            let message = format!("namespace {} has no class that a program here serves", account.namespace);
            report.unknown("login", message);
        }
    }
}

/// Logs in with each class, and returns how many there are.
async fn try_classes(
    (args, view): (&DoctorArgs, &ClusterView),
    account: &NamedAccount,
    classes: &[&Value],
    report: &mut DoctorReport,
) -> usize {
    let mut tried = BTreeSet::new();
    for workload in view.agents.iter().chain(&view.api_servers) {
        let own = provider_name(workload);
        let serves = |class: &Value| own.as_ref().is_none_or(|own| *own == provider(class));
        let fresh = classes.iter().filter(|class| serves(class));
        let fresh: Vec<ClassManifest> =
            fresh.map(|class| manifest(class)).filter(|class| !tried.contains(&class.name)).collect();
        if fresh.is_empty() {
            continue;
        }
        let settings = match vault_settings::of(workload, view, args).await {
            Ok(settings) => settings,
            Err(fault) => {
                report.unknown("login", fault.to_string());
                continue;
            }
        };
        let address = settings.address.to_string();
        let minter = Kubernetes::from(view.connection().clone());
        let login = VaultLogin::with_settings(settings, Vec::new(), None, Arc::new(minter));
        for class in fresh {
            let outcome = log_in(&login, account, &class).await;
            add(outcome, (workload, &address), (account, &class), report);
            tried.insert(class.name);
        }
    }
    tried.len()
}

async fn log_in(login: &VaultLogin, account: &NamedAccount, class: &ClassManifest) -> Result<(), Error> {
    let identity =
        Identity { namespace: account.namespace.clone(), service_account: account.name.clone(), pod: None };
    let request = login.request((&class.provider, &class.parameters, class.audience()), identity)?;
    login.provider.log_in(&request).await
}

fn add(
    outcome: Result<(), Error>,
    (workload, address): (&Workload, &str),
    (account, class): (&NamedAccount, &ClassManifest),
    report: &mut DoctorReport,
) {
    let NamedAccount { namespace, name } = account;
    let Err(error) = outcome else {
        let message = format!("service account {namespace}/{name} can log in with class {}", class.name);
        return report.ok("login", message);
    };
    let message = format!("class {namespace}/{}: {error:#}", class.name);
    match error.kind {
        ErrorKind::LoginRefused => {
            let audience = class.audience().unwrap_or_else(|| usual(&class.provider));
            let message = format!(
                "{message}. The role has to have {name} among its bound_service_account_names, {namespace} among \
                 its bound_service_account_namespaces, and the audience {audience}"
            );
            report.error("login", message, role_shown((workload, address), class));
        }
        ErrorKind::NoToken => {
            let rights =
                ["kubectl", "auth", "can-i", "create", "serviceaccounts/token", "--namespace", namespace];
            report.error("login", message, command(rights));
        }
        ErrorKind::InvalidClass => report.error("login", message, checked_live(namespace, name)),
        _ => report.unknown("login", message),
    }
}

/// Returns the command that shows the class's role. None changes it: who writes a class could have
/// any role given to an account of his. For the same reason it asks the operator's own Vault only.
fn role_shown((workload, address): (&Workload, &str), class: &ClassManifest) -> String {
    let parameter = |parameter| class.spelled(parameter).map(|name| class.parameters[name].as_str());
    let mount = parameter("AuthMountPath").map(str::to_owned).or(workload.flag("vault-mount"));
    let mount = mount.unwrap_or_else(|| "kubernetes".to_owned());
    let path = format!("auth/{}/role/{}", mount.trim_matches('/'), parameter("RoleName").unwrap_or_default());
    let program = if class.provider == "openbao" { "bao" } else { "vault" };
    command([program, "read", &format!("-address={address}"), &path])
}
