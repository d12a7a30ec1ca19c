//! Whether the service accounts of Coffer's programs have the rights that they need, by
//! SubjectAccessReview.

use coffer_kubernetes::CALL_TIMEOUT;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReviewSpec};

use super::needs::{of_agent, of_api_server};
use super::report::DoctorReport;
use super::right::{NeededRight, granted, shown};
use super::view::{ClusterView, Seen, unseen};
use super::workload::Workload;

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
