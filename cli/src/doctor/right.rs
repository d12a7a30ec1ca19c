//! A right that a program needs, and the command that gives it.

use super::command::command;
use super::report::DoctorStatus;
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

/// Describes a right, as in `list, watch pods in the cluster`.
pub(super) fn shown(right: &NeededRight) -> String {
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
