//! Whether the service accounts of Coffer's programs have the rights that they need, by
//! SubjectAccessReview.

use coffer_kubernetes::CALL_TIMEOUT;
use coffer_provider::settings::go_bool;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReviewSpec};

use super::command::command;
use super::report::{DoctorReport, DoctorStatus};
use super::view::{API_SERVICE, ClusterView, Seen, unseen};
use super::workload::Workload;

/// A right that a program needs.
pub(super) struct NeededRight {
    /// API group, resource and subresource.
    pub(super) resource: (&'static str, &'static str, &'static str),
    /// What may be done.
    pub(super) verbs: &'static [&'static str],
    /// The namespace; none is the whole cluster.
    pub(super) namespace: Option<String>,
    /// The name of the one object; none is every object.
    pub(super) object: Option<String>,
    /// What fails without it.
    pub(super) without: &'static str,
    /// How bad that is.
    pub(super) status: DoctorStatus,
    /// Which role is to be bound.
    pub(super) role: RoleWithRight,
}

/// A role that has a right.
pub(super) enum RoleWithRight {
    /// A role of its own, with the account's name and this suffix.
    Own(&'static str),
    /// A ClusterRole of Kubernetes or of Coffer.
    ClusterRole(&'static str),
    /// A Role of Kubernetes in the right's namespace.
    Role(&'static str),
}

/// Adds a line for each program.
pub(super) async fn examine(view: &ClusterView, report: &mut DoctorReport) {
    for agent in &view.agents {
        examine_account("rights.agent", agent, &of_agent(view, agent).await, (view, report)).await;
    }
    for server in &view.api_servers {
        examine_account("rights.api-server", server, &of_api_server(server), (view, report)).await;
    }
}

/// Returns whether the pods of a workload have a right.
pub(super) async fn has(view: &ClusterView, workload: &Workload, right: &NeededRight) -> Seen<bool> {
    for verb in right.verbs {
        if !may(view, workload, right, verb).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the right to mint tokens of the service accounts of a namespace; none is the whole
/// cluster.
pub(super) fn minting(namespace: Option<&str>) -> NeededRight {
    NeededRight {
        resource: ("", "serviceaccounts", "token"),
        verbs: &["create"],
        namespace: namespace.map(str::to_owned),
        object: None,
        without: "no token for a login can be minted",
        status: DoctorStatus::Error,
        role: match namespace {
            Some(_) => RoleWithRight::ClusterRole("coffer-token-minter"),
            None => RoleWithRight::Own(""),
        },
    }
}

/// Returns the command that gives a right to the pods of a workload.
pub(super) fn granted(workload: &Workload, right: &NeededRight) -> String {
    let (own, name) = match right.role {
        RoleWithRight::Own(suffix) => (true, format!("{}{suffix}", workload.account())),
        RoleWithRight::ClusterRole(role) | RoleWithRight::Role(role) => (false, role.to_owned()),
    };
    let is_cluster_role = match right.role {
        RoleWithRight::Own(_) => right.namespace.is_none(),
        RoleWithRight::ClusterRole(_) => true,
        RoleWithRight::Role(_) => false,
    };
    let scope = right.namespace.as_ref().map(|namespace| format!("--namespace={namespace}"));
    let account = format!("--serviceaccount={}:{}", workload.namespace(), workload.account());
    let role = format!("--{}={name}", if is_cluster_role { "clusterrole" } else { "role" });
    let binding_kind = if right.namespace.is_some() { "rolebinding" } else { "clusterrolebinding" };
    let binding_name = if own { name.clone() } else { format!("{}-{name}", workload.account()) };
    let binding_name = binding_name.replace(':', "-");
    let binding = [binding_kind, &binding_name, &role, &account];
    let bound = applied(binding.into_iter().chain(scope.as_deref()));
    if !own {
        return bound;
    }
    let (group, resource, subresource) = right.resource;
    let dotted = |head: &str, separator: &str, tail: &str| match tail {
        "" => head.to_owned(),
        tail => format!("{head}{separator}{tail}"),
    };
    let resource = dotted(&dotted(resource, ".", group), "/", subresource);
    let (verbs, resource) = (format!("--verb={}", right.verbs.join(",")), format!("--resource={resource}"));
    let object = right.object.as_ref().map(|object| format!("--resource-name={object}"));
    let kind = if is_cluster_role { "clusterrole" } else { "role" };
    let words = [kind, &name, &verbs, &resource];
    let made = applied(words.into_iter().chain(object.as_deref()).chain(scope.as_deref()));
    format!("{made} && {bound}")
}

/// Returns a command that creates an object, or changes the one that is there.
fn applied<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let create = command(["kubectl", "create"].into_iter().chain(words));
    format!("{create} --dry-run=client --output=yaml | kubectl apply --filename -")
}

async fn examine_account(
    check: &'static str,
    workload: &Workload,
    rights: &[NeededRight],
    (view, report): (&ClusterView, &mut DoctorReport),
) {
    let account = format!("{}:{}", workload.namespace(), workload.account());
    for right in rights {
        match has(view, workload, right).await {
            Ok(true) => {}
            Ok(false) => {
                let message =
                    format!("service account {account} may not {}: {}", shown(right), right.without);
                let command = workload.restored(|| granted(workload, right));
                report.add(check, right.status, message, Some(command));
            }
            Err(unseen) => return report.unknown(check, format!("rights of {account}: {unseen}")),
        }
    }
    if !report.has_fault(check) {
        report.ok(check, format!("service account {account} has every right that it needs"));
    }
}

/// Returns what the pods of coffer-csi need, as they are configured.
async fn of_agent(view: &ClusterView, agent: &Workload) -> Vec<NeededRight> {
    let mut rights = Vec::new();
    if agent.flag("state-dir").is_some_and(|directory| !directory.is_empty()) {
        rights.push(NeededRight {
            resource: ("", "pods", ""),
            verbs: &["list", "watch"],
            namespace: None,
            object: None,
            without: "no lease is kept, renewed or revoked",
            status: DoctorStatus::Error,
            role: RoleWithRight::Own("-pods"),
        });
    }
    if agent.flag("pod-events").is_none_or(|value| go_bool(&value) != Ok(false)) {
        rights.push(NeededRight {
            resource: ("events.k8s.io", "events", ""),
            verbs: &["create", "patch"],
            namespace: None,
            object: None,
            without: "no event on a pod tells its owner that rotation fails",
            status: DoctorStatus::Warning,
            role: RoleWithRight::Own("-events"),
        });
    }
    if agent.flag("hmac-key-file").is_none() {
        rights.extend(of_version_key(view, agent, &version_key(agent)).await);
    }
    rights
}

/// Returns the rights over the Secret with the key of the versions. Without the Secret a program
/// makes it.
async fn of_version_key(view: &ClusterView, workload: &Workload, secret: &str) -> Vec<NeededRight> {
    let namespace = workload.namespace();
    let mut rights = vec![secret_right(
        (namespace, Some(secret)),
        &["get"],
        "the key of the versions cannot be read, and no mount succeeds",
        "-key",
    )];
    if matches!(view.core_object(namespace, "secrets", secret).await, Ok(None)) {
        rights.push(secret_right(
            (namespace, None),
            &["create"],
            "the key of the versions cannot be made, and no mount succeeds",
            "-new-key",
        ));
    }
    rights
}

/// Returns the name of the Secret with the key of the versions.
pub(super) fn version_key(workload: &Workload) -> String {
    let is_openbao = super::agents::provider_name(workload).as_deref() == Some("openbao");
    let usual = if is_openbao { "openbao-csi-provider-hmac-key" } else { "vault-csi-provider-hmac-key" };
    workload.flag("hmac-secret-name").unwrap_or_else(|| usual.to_owned())
}

/// Returns what the pods of coffer-api-server need, as they are configured.
fn of_api_server(server: &Workload) -> Vec<NeededRight> {
    let right = |resource, verbs, without, role| NeededRight {
        resource,
        verbs,
        namespace: None,
        object: None,
        without,
        status: DoctorStatus::Error,
        role,
    };
    let delegator = || RoleWithRight::ClusterRole("system:auth-delegator");
    let mut rights = vec![
        right(
            ("secrets-store.csi.x-k8s.io", "secretproviderclasses", ""),
            &["list", "watch"],
            "the API has no secrets",
            RoleWithRight::Own("-classes"),
        ),
        right(
            ("authentication.k8s.io", "tokenreviews", ""),
            &["create"],
            "nobody can be authenticated",
            delegator(),
        ),
        right(
            ("authorization.k8s.io", "subjectaccessreviews", ""),
            &["create"],
            "nobody is authorized",
            delegator(),
        ),
        NeededRight {
            namespace: Some("kube-system".to_owned()),
            object: Some("extension-apiserver-authentication".to_owned()),
            ..right(
                ("", "configmaps", ""),
                &["get", "list", "watch"],
                "kube-apiserver's requests cannot be told from others",
                RoleWithRight::Role("extension-apiserver-authentication-reader"),
            )
        },
    ];
    let namespace = server.namespace();
    if server.flag("tls-cert-file").is_none() {
        let secret = server.flag("serving-secret").unwrap_or_else(|| "coffer-api-server-tls".to_owned());
        let without = "the server has no certificate that lasts";
        rights.push(secret_right((namespace, Some(&secret)), &["get", "update"], without, "-certificate"));
        rights.push(NeededRight {
            object: Some(API_SERVICE.to_owned()),
            ..right(
                ("apiregistration.k8s.io", "apiservices", ""),
                &["get", "patch"],
                "kube-apiserver does not learn whom to trust",
                RoleWithRight::Own("-ca-bundle"),
            )
        });
    }
    if server.flag("hmac-key-file").is_none() {
        let without = "the key of the versions cannot be read, and no read succeeds";
        rights.push(secret_right((namespace, Some(&version_key(server))), &["get"], without, "-key"));
    }
    rights
}

fn secret_right(
    (namespace, secret): (&str, Option<&str>),
    verbs: &'static [&'static str],
    without: &'static str,
    suffix: &'static str,
) -> NeededRight {
    NeededRight {
        resource: ("", "secrets", ""),
        verbs,
        namespace: Some(namespace.to_owned()),
        object: secret.map(str::to_owned),
        without,
        status: DoctorStatus::Error,
        role: RoleWithRight::Own(suffix),
    }
}

/// Describes a right, as in `list, watch pods in the cluster`.
fn shown(right: &NeededRight) -> String {
    let (_, resource, subresource) = right.resource;
    let mut text = format!("{} {resource}", right.verbs.join(", "));
    if !subresource.is_empty() {
        text += &format!("/{subresource}");
    }
    if let Some(object) = &right.object {
        text += &format!(" {object}");
    }
    match &right.namespace {
        Some(namespace) => text + &format!(" in namespace {namespace}"),
        None => text + " in the cluster",
    }
}

async fn may(view: &ClusterView, workload: &Workload, right: &NeededRight, verb: &str) -> Seen<bool> {
    let (group, resource, subresource) = right.resource;
    let namespace = workload.namespace();
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: Some(subresource.to_owned()),
        verb: Some(verb.to_owned()),
        namespace: right.namespace.clone(),
        name: right.object.clone(),
        ..ResourceAttributes::default()
    };
    let groups =
        ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"];
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{namespace}:{}", workload.account())),
        groups: Some(groups.map(str::to_owned).into()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = view.reviewer.review_access(spec, CALL_TIMEOUT).await;
    review
        .map(|review| review.allowed)
        .map_err(|error| unseen("create subjectaccessreviews of the cluster".to_owned(), &error))
}
