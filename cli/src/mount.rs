//! `coffer mount`: asks a provider for the files of a class as the CSI driver would, and writes
//! them.

mod answer;
mod attributes;
mod provider_client;
mod report;
mod target;

use std::io;
use std::process::ExitCode;

use coffer_proto::v1alpha1::MountRequest;
use thiserror::Error;

use self::answer::{AnswerError, MountAnswer};
use self::attributes::{MountPod, attributes, audience};
use self::provider_client::ProviderCallError;
use self::target::{TargetDirectory, TargetDirectoryError};
use crate::args::{MountArgs, OutputFormat};
use crate::manifest::class::ClassManifest;
use crate::manifest::{self, ManifestError};
use crate::table::printable_json;
use crate::token::{ServiceAccountToken, TokenError};

/// Why nothing was mounted.
#[derive(Debug, Error)]
pub(crate) enum MountError {
    /// The file has no class to mount.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The driver looks for a pod's class only in the pod's namespace.
    #[error("class {class} is in namespace {namespace}: no pod of {pod_namespace} can use it")]
    OtherNamespace {
        /// The class.
        class: String,
        /// The namespace of the class.
        namespace: String,
        /// The namespace of the pod.
        pod_namespace: String,
    },
    /// The target directory cannot be filled.
    #[error(transparent)]
    Target(#[from] TargetDirectoryError),
    /// The path of the target directory is not Unicode.
    #[error("the target's path is no text")]
    TargetNotUnicode,
    /// The token file cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The attributes cannot be written as JSON.
    #[error(transparent)]
    Attributes(#[from] serde_json::Error),
    /// The runtime for the call does not start.
    #[error("cannot start a runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The provider did not answer, or answered with an error.
    #[error("cannot mount {class} from provider {provider}: {source}")]
    Provider {
        /// The class.
        class: String,
        /// The provider that the class names.
        provider: String,
        /// The reason.
        source: ProviderCallError,
    },
    /// The driver would not write the answer.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Mounts a class, and prints what was mounted.
pub(crate) fn run(args: &MountArgs) -> Result<ExitCode, MountError> {
    let class = manifest::read_class(&args.class, args.name.as_deref())?;
    check_namespace(&class, &args.namespace)?;
    let target = TargetDirectory::open(&args.target)?;
    let request = request(args, &class, &target)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let response = runtime
        .map_err(MountError::Runtime)?
        .block_on(provider_client::mount(&args.socket, request))
        .map_err(|source| MountError::Provider {
            class: class.name.clone(),
            provider: class.provider.clone(),
            source,
        })?;
    let answer = MountAnswer::check(response)?;
    // the driver removes nothing for an answer without files
    if !(answer.files.is_empty() && target.is_mounted()) {
        target.write(&answer.files)?;
    }
    match args.output {
        OutputFormat::Text => print!("{}", report::text(&class, &answer)),
        OutputFormat::Json => print!("{}", printable_json(&report::json(&class, &answer))),
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a class of another namespace than the pod's, as the driver does.
fn check_namespace(class: &ClassManifest, pod_namespace: &str) -> Result<(), MountError> {
    match class.namespace.as_deref() {
        Some(namespace) if namespace != pod_namespace => Err(MountError::OtherNamespace {
            class: class.name.clone(),
            namespace: namespace.to_owned(),
            pod_namespace: pod_namespace.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn request(
    args: &MountArgs,
    class: &ClassManifest,
    target: &TargetDirectory,
) -> Result<MountRequest, MountError> {
    let pod = MountPod {
        name: &args.pod,
        namespace: &args.namespace,
        uid: &args.pod_uid,
        service_account: &args.service_account,
    };
    let token = args.token_file.as_deref().map(ServiceAccountToken::read).transpose()?;
    let audience = audience(args.audience.as_deref(), class, &args.socket);
    let token = token.as_ref().map(|token| (audience, token));
    let target_path = target.path().to_str().ok_or(MountError::TargetNotUnicode)?;
    Ok(MountRequest {
        attributes: attributes(class, &pod, token)?,
        // the driver's JSON, written by Go, of a volume without nodePublishSecretRef
        secrets: "null".to_owned(),
        target_path: target_path.to_owned(),
        permission: args.permission.to_string(),
        current_object_version: Vec::new(),
    })
}
