//! `coffer mount`: what the driver does between a pod's volume and a provider.

use anyhow::{Context, Result, ensure};
use coffer_proto::v1alpha1::MountRequest;

use crate::{
    answer,
    args::{Mount, Output},
    attributes::{Pod, attributes, audience},
    class::{self, Class},
    provider, report,
    target::Target,
    token,
};

/// Mounts, and prints what was mounted.
pub(crate) fn run(args: &Mount) -> Result<()> {
    let class = class::read(&args.class, args.name.as_deref())?;
    check_namespace(&class, &args.namespace)?;
    let target = Target::open(&args.target)?;
    let request = request(args, &class, &target)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let response = runtime
        .block_on(provider::mount(&args.socket, request))
        .with_context(|| format!("cannot mount {} from provider {}", class.name, class.provider))?;
    let answer = answer::check(response)?;
    target.write(&answer.files)?;
    match args.output {
        Output::Text => print!("{}", report::text(&class, &answer)),
        Output::Json => print!("{}", report::json(&class, &answer)),
    }
    Ok(())
}

/// The driver looks for a pod's class in the pod's namespace only.
fn check_namespace(class: &Class, namespace: &str) -> Result<()> {
    let own = class.namespace.as_deref().unwrap_or(namespace);
    ensure!(own == namespace, "class {} is in namespace {own}: no pod of {namespace} can use it", class.name);
    Ok(())
}

fn request(args: &Mount, class: &Class, target: &Target) -> Result<MountRequest> {
    let pod = Pod {
        name: &args.pod,
        namespace: &args.namespace,
        uid: &args.pod_uid,
        service_account: &args.service_account,
    };
    let token = args.token_file.as_deref().map(token::read).transpose()?;
    let audience = audience(args.audience.as_deref(), class, &args.socket);
    let token = token.as_ref().map(|token| (audience, token));
    let target_path = target.directory().to_str().context("the target's path is no text")?;
    Ok(MountRequest {
        attributes: attributes(class, &pod, token)?,
        // What Go makes of no secrets at all.
        secrets: "null".to_owned(),
        target_path: target_path.to_owned(),
        permission: args.permission.to_string(),
        current_object_version: Vec::new(),
    })
}
