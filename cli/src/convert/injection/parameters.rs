//! The parameters of the class: whom to log in as, at which Vault.

use super::InjectorAnnotations;
use crate::convert::known::AUTH;
use crate::convert::outcome::ConvertOutcome;

/// Annotations whose value is that of a parameter.
const SAME: [(&str, &str); 4] = [
    ("service", "vaultAddress"),
    ("namespace", "vaultNamespace"),
    ("tls-server-name", "vaultTLSServerName"),
    ("template-static-secret-render-interval", "refreshInterval"),
];

/// Annotations that name files of the agent's container.
const FILES: [(&str, &str); 4] = [
    ("ca-cert", "vaultCACertPath"),
    ("ca-key", "vaultCADirectory"),
    ("client-cert", "vaultTLSClientCertPath"),
    ("client-key", "vaultTLSClientKeyPath"),
];

/// Reads the parameters.
pub(super) fn read_parameters(from: &mut InjectorAnnotations<'_>) -> Vec<(&'static str, String)> {
    let mut parameters = Vec::new();
    if let Some(role) = role(from) {
        parameters.push(("roleName", role));
    }
    for (name, parameter) in SAME {
        if let Some(text) = from.text(name) {
            parameters.push((parameter, text.to_owned()));
        }
    }
    if let Some(path) = from.text("auth-path") {
        let mount = path.trim_matches('/');
        parameters.push(("vaultAuthMountPath", mount.strip_prefix("auth/").unwrap_or(mount).to_owned()));
    }
    for (name, parameter) in FILES {
        if let Some(path) = from.text(name) {
            parameters.push((parameter, path.to_owned()));
            let message = format!(
                "{parameter} names a file of coffer-csi's container: mount it there at {path}, or take the parameter \
                 out if coffer-csi has what it needs already"
            );
            from.note(name, ConvertOutcome::NeedsPerson, message);
        }
    }
    if from.flag("tls-skip-verify", false) {
        parameters.push(("vaultSkipTLSVerify", "true".to_owned()));
    }
    check_method(from);
    parameters
}

fn role(from: &mut InjectorAnnotations<'_>) -> Option<String> {
    let role = from.text("role").map(str::to_owned);
    let other = from.text("auth-config-role").map(str::to_owned);
    if other.is_some() {
        let (outcome, message) = if role.is_none() {
            (ConvertOutcome::CarriedOver, "roleName")
        } else {
            (ConvertOutcome::NothingToDo, "the annotation role counts")
        };
        from.note("auth-config-role", outcome, message);
    }
    role.or(other)
}

fn check_method(from: &mut InjectorAnnotations<'_>) {
    if from.text("auth-type").is_some_and(|method| !matches!(method, "kubernetes" | "jwt")) {
        from.note("auth-type", ConvertOutcome::NeedsPerson, AUTH);
    }
    for name in ["auth-config-token-path", "auth-config-path"] {
        if from.get(name).is_some() {
            let message = "coffer-csi logs in with a token that it is sent or has minted: if the role asks for an \
                 audience, name it as audience in the class";
            from.note(name, ConvertOutcome::NeedsPerson, message);
        }
    }
}
