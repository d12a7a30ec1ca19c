//! `--live`: reads what a class names from Vault.

use std::sync::Arc;

use coffer_kubernetes::{CALL_TIMEOUT, ConnectError, KubeConnection};
use coffer_provider::settings::BadVariable;
use coffer_provider::{Error, ErrorKind, Identity, RenderedFile};
use thiserror::Error as ThisError;

use super::{RenderError, choose};
use crate::args::RenderArgs;
use crate::manifest::class::ClassManifest;
use crate::token::TokenError;
use crate::vault_login::{LoginTokens, VaultLogin};

/// Why a class cannot be read from Vault.
#[derive(Debug, ThisError)]
pub(crate) enum LiveReadError {
    /// There is no connection to kube-apiserver.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An environment variable has a value that cannot be used.
    #[error(transparent)]
    Environment(#[from] BadVariable),
    /// The token file cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The read failed.
    #[error("class {class}: {error:#}")]
    Read {
        /// The class.
        class: String,
        /// Why.
        error: Box<Error>,
    },
}

impl LiveReadError {
    /// Returns 1 if the class or Vault's policies have to be changed, else 2.
    pub(super) fn exit_code(&self) -> u8 {
        use ErrorKind::{BadAnswer, Denied, InvalidClass, Issues, LoginRefused, NotFound, TooLarge};
        match self {
            Self::Read { error, .. } => match error.kind {
                BadAnswer | Denied | InvalidClass | Issues | LoginRefused | NotFound | TooLarge => 1,
                _ => 2,
            },
            _ => 2,
        }
    }
}

/// Returns the files of a class.
pub(super) async fn files(
    args: &RenderArgs,
    manifest: &ClassManifest,
) -> Result<Vec<RenderedFile>, RenderError> {
    let connection = match &args.service_account {
        Some(_) => {
            let open = KubeConnection::open_chosen(&args.kubeconfig.choice(), Some(CALL_TIMEOUT)).await;
            Some(open.map_err(LiveReadError::from)?)
        }
        None => None,
    };
    let tokens = LoginTokens::new(args.token_file.as_deref(), connection.as_ref());
    let LoginTokens { minter, account } = tokens.map_err(LiveReadError::from)?;
    let login =
        VaultLogin::new(&args.vault, args.audience.as_deref(), minter).map_err(LiveReadError::from)?;
    let (of_token, token_account) = account.unzip();
    let namespace = manifest.namespace.clone().or(args.namespace.clone()).or(of_token);
    let namespace = namespace.or(connection.map(|connection| connection.namespace));
    let identity = Identity {
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        service_account: args.service_account.clone().or(token_account).unwrap_or_default(),
        pod: None,
    };
    let failed = |error| LiveReadError::Read { class: manifest.name.clone(), error: Box::new(error) };
    let class = (manifest.provider.as_str(), &manifest.parameters, manifest.audience());
    let mut request = login.request(class, identity).map_err(failed)?;
    if let Some(class) = Arc::get_mut(&mut request.class) {
        choose(class, &manifest.name, args.object.as_deref())?;
    }
    let bundle = login.provider.read(&request).await.map_err(failed)?;
    let files = bundle.files.into_iter();
    Ok(files.map(|file| RenderedFile { path: file.path, contents: file.contents }).collect())
}
