//! `--live`: logs in to Vault and reads what classes name, as a mount would, but issues nothing.

use coffer_kubernetes::KubeConnection;
use coffer_provider::settings::BadVariable;
use coffer_provider::{Error, ErrorKind, Identity, Outcome, Probed};

use super::checked_class::CheckedClass;
use super::report::Severity;
use crate::args::CheckArgs;
use crate::manifest::class::ClassManifest;
use crate::token::TokenError;
use crate::vault_login::{LoginTokens, VaultLogin};

/// Why no class is tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// An environment variable has a value that cannot be used.
    #[error(transparent)]
    Environment(#[from] BadVariable),
    /// The token file cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// A provider that tries classes, and as whom.
pub(crate) struct LiveCheck {
    login: VaultLogin,
    namespace: Option<String>,
    service_account: Option<String>,
}

impl LiveCheck {
    /// Creates a check. Tokens are requested over `connection`, which `--service-account` needs.
    pub(crate) fn new(args: &CheckArgs, connection: Option<&KubeConnection>) -> Result<Self, LiveError> {
        let LoginTokens { minter, account } = LoginTokens::new(args.token_file.as_deref(), connection)?;
        Ok(Self {
            login: VaultLogin::new(&args.vault, args.audience.as_deref(), minter)?,
            namespace: args
                .namespace
                .clone()
                .or(account.as_ref().map(|(namespace, _)| namespace.clone()))
                .or(connection.map(|connection| connection.namespace.clone())),
            service_account: args.service_account.clone().or(account.map(|(_, account)| account)),
        })
    }

    /// Tries every object of a class. Mistakes are added to the class's findings; the first failure
    /// that is not the class's is returned.
    pub(crate) async fn check(&self, checked: &mut CheckedClass<'_>) -> Option<String> {
        let probed = match self.probe(checked.class()).await {
            Ok(probed) => probed,
            Err(error) => return add_or_return(checked, &error),
        };
        let mut failure = None;
        for probed in probed {
            match probed.outcome {
                Outcome::Readable(files) => {
                    files.into_iter().for_each(|file| checked.add_file(&probed.object, file));
                }
                Outcome::Absent => {
                    let note = "no file: the object is optional, and what it names is not in Vault";
                    checked.add_live(Severity::Note, Some(&probed.object), note.to_owned());
                }
                Outcome::Skipped(reason) => {
                    checked.add_live(Severity::Note, Some(&probed.object), format!("not tried: {reason}"));
                }
                Outcome::Failed(error) => failure = failure.or(add_or_return(checked, &error)),
            }
        }
        failure
    }

    async fn probe(&self, class: &ClassManifest) -> Result<Vec<Probed>, Error> {
        let namespace = class.namespace.clone().or_else(|| self.namespace.clone());
        let identity = Identity {
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            service_account: self.service_account.clone().unwrap_or_else(|| "of the token file".to_owned()),
            pod: None,
        };
        let request = self.login.request((&class.provider, &class.parameters, class.audience()), identity)?;
        self.login.provider.probe(&request).await
    }
}

/// Adds an error to the class's findings if a change of the class or of Vault's policies is needed.
/// Returns the message of any other error.
fn add_or_return(checked: &mut CheckedClass<'_>, error: &Error) -> Option<String> {
    use ErrorKind::{
        BadAnswer, Denied, InvalidClass, Issues, LoginRefused, NotFound, RefusedByPolicy, TooLarge,
    };
    // what is for the operator of an agent is for the user of this tool
    let message = format!("{:#}", Error { object: None, ..error.clone() });
    match error.kind {
        BadAnswer | Denied | InvalidClass | Issues | LoginRefused | NotFound | RefusedByPolicy | TooLarge => {
            checked.add_live(Severity::Error, error.object.as_deref(), message);
            None
        }
        _ => Some(format!("cannot try class {}: {message}", checked.class().name)),
    }
}
