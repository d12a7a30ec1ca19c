//! Which rights Coffer's programs need, as they are configured.

use coffer_provider::settings::go_bool;

use super::agents::provider_name;
use super::report::DoctorStatus;
use super::right::{NeededRight, RoleWithRight};
use super::view::{API_SERVICE, ClusterView};
use super::workload::Workload;

/// Returns what the pods of coffer-csi need, as they are configured.
pub(super) async fn of_agent(view: &ClusterView, agent: &Workload) -> Vec<NeededRight> {
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
    let is_openbao = provider_name(workload).as_deref() == Some("openbao");
    let usual = if is_openbao { "openbao-csi-provider-hmac-key" } else { "vault-csi-provider-hmac-key" };
    workload.flag("hmac-secret-name").unwrap_or_else(|| usual.to_owned())
}

/// Returns what the pods of coffer-api-server need, as they are configured.
pub(super) fn of_api_server(server: &Workload) -> Vec<NeededRight> {
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
