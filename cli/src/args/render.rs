//! The options of `render`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{KubeconfigArgs, VaultArgs};

/// The options of `render`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["template", "class"])),
    group(ArgGroup::new("values").required(true).args(["data", "live"])),
    group(ArgGroup::new("cluster_access").args(["service_account"])),
    group(ArgGroup::new("identity").multiple(true).args(["service_account", "token_file"])),
    after_help = "Exit code: 0 the file is printed, 1 a mistake in the template, the class or the data, \
        2 something could not be read or asked."
)]
pub(crate) struct RenderArgs {
    /// The text of a template, or - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "live")]
    pub(crate) template: Option<PathBuf>,
    /// What begins an action of the template [default: {{].
    #[arg(long, requires = "template")]
    pub(crate) left_delimiter: Option<String>,
    /// What ends an action of the template [default: }}].
    #[arg(long, requires = "template")]
    pub(crate) right_delimiter: Option<String>,
    /// Print `<no value>` for a missing key, as with errorOnMissingKey: false.
    #[arg(long, requires = "template")]
    pub(crate) allow_missing_keys: bool,
    /// A manifest with a SecretProviderClass, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) class: Option<PathBuf>,
    /// The class's name, if the manifest has several.
    #[arg(long, requires = "class")]
    pub(crate) name: Option<String>,
    /// The objectName of the object [default: all objects of the class].
    #[arg(long, value_name = "NAME", requires = "class")]
    pub(crate) object: Option<String>,
    /// Sample data: a JSON object with the data of Vault's answer (what templates call .Data) for
    /// each path.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) data: Option<PathBuf>,
    /// Log in to Vault and read the data there. Nothing is issued. The values are printed.
    #[arg(long, requires = "identity")]
    pub(crate) live: bool,
    /// Log in as this service account of the class's namespace, with a token that the kubeconfig's
    /// user requests.
    #[arg(long, value_name = "SA", requires = "live")]
    pub(crate) service_account: Option<String>,
    /// Log in with the service account token in this file.
    #[arg(long, value_name = "FILE", requires = "live", conflicts_with = "service_account")]
    pub(crate) token_file: Option<PathBuf>,
    /// The audience of a requested token if the class names none [default: vault, or openbao for
    /// that provider].
    #[arg(long, requires = "live", conflicts_with = "token_file")]
    pub(crate) audience: Option<String>,
    /// The namespace of a class that names none [default: the context's, default].
    #[arg(long, short, value_name = "NS", requires = "live")]
    pub(crate) namespace: Option<String>,
    /// The kubeconfig and its context.
    #[command(flatten)]
    pub(crate) kubeconfig: KubeconfigArgs,
    /// Vault's address and TLS.
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
}
