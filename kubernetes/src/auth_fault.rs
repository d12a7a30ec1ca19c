//! Why the kubeconfig's user has no credentials. kube's own texts repeat what a plugin prints, and its
//! environment, where credentials may be.

use std::io;
use std::process::ExitStatus;

use kube::client::AuthError;
use kube::config::AuthInfo;

/// Why the kubeconfig's user has no credentials.
#[derive(Debug, thiserror::Error)]
pub enum AuthFault {
    /// The exec plugin does not start.
    #[error("the kubeconfig's credential plugin {command:?} does not start: {source}{}", hint.as_ref().map(|hint| format!(". {hint}")).unwrap_or_default())]
    PluginNotStarted {
        /// The program.
        command: String,
        /// What the kubeconfig says on how to install the plugin.
        hint: Option<String>,
        /// The system's error.
        source: io::Error,
    },
    /// The exec plugin ended with an error.
    #[error(
        "the kubeconfig's credential plugin {command:?} failed ({status}): log in with it, or run it by hand"
    )]
    PluginFailed {
        /// The program.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The exec plugin printed no credentials.
    #[error("the kubeconfig's credential plugin {command:?} printed no ExecCredential with a status")]
    PluginWithoutCredentials {
        /// The program.
        command: String,
    },
    /// The token file cannot be read.
    #[error("the token file {path:?} cannot be read: {source}")]
    TokenFile {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The kubeconfig wants a way of authentication that is built into old clients.
    #[error("the kubeconfig's auth-provider {0:?} is not supported: use a credential plugin (exec)")]
    Provider(String),
    /// The credentials are not usable in another way.
    #[error("the kubeconfig's user has no usable credentials")]
    Unusable,
}

impl AuthFault {
    /// Returns what kube's error means for this user.
    pub(crate) fn of(error: AuthError, user: Option<&AuthInfo>) -> Self {
        let exec = user.and_then(|user| user.exec.as_ref());
        let command = exec.and_then(|exec| exec.command.clone()).unwrap_or_default();
        let provider = user.and_then(|user| user.auth_provider.as_ref());
        match error {
            AuthError::AuthExecStart(source) => {
                let hint = exec.and_then(|exec| exec.install_hint.clone());
                Self::PluginNotStarted { command, hint: hint.filter(|hint| !hint.is_empty()), source }
            }
            AuthError::AuthExecRun { out, .. } => Self::PluginFailed { command, status: out.status },
            AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
                Self::PluginWithoutCredentials { command }
            }
            AuthError::ReadTokenFile(source, path) => Self::TokenFile { path, source },
            _ => provider.map_or(Self::Unusable, |provider| Self::Provider(provider.name.clone())),
        }
    }
}
