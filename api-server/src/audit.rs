//! The audit log: one line for each read and for each denied request. No line holds a secret value.

use std::time::Duration;

use coffer_provider::class::Class;

use crate::api_error::ApiError;
use crate::route::ObjectScope;
use crate::user::User;
use crate::verb::Verb;

/// Log target of audit lines, which are written whatever the log level.
pub(crate) const TARGET: &str = "audit";

/// Objects that are named in one line, at most.
const MAX_NAMES: usize = 20;

/// A read that has ended.
pub(crate) struct AuditedRead<'a> {
    pub(crate) user: &'a User,
    /// The service account, if it was found.
    pub(crate) read_as: Option<&'a str>,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// The parsed class, if there is one without a mistake.
    pub(crate) class: Option<&'a Class>,
    /// The HTTP status of the answer.
    pub(crate) code: u16,
    pub(crate) problem: Option<&'a str>,
    /// Whether the client hung up before.
    pub(crate) client_gone: bool,
    pub(crate) took: Duration,
}

/// Writes the line of a read.
pub(crate) fn read(read: &AuditedRead<'_>) {
    let objects = read.class.map(|class| names(class.objects.iter().map(|object| object.name())));
    let objects = objects.unwrap_or_default();
    tracing::info!(
        target: TARGET,
        user = read.user.name,
        uid = read.user.uid,
        read_as = read.read_as,
        namespace = read.namespace,
        class = read.name,
        objects,
        code = read.code,
        problem = read.problem,
        client_gone = read.client_gone.then_some(true),
        ms = read.took.as_millis(),
        "read"
    );
}

/// Writes the line of a request that was not authorized.
pub(crate) fn denied(user: &User, verb: Verb, scope: ObjectScope<'_>, error: &ApiError) {
    tracing::info!(
        target: TARGET,
        user = user.name,
        uid = user.uid,
        verb = verb.as_str(),
        namespace = scope.namespace,
        class = scope.name,
        code = error.code().as_u16(),
        problem = error.message(),
        "denied"
    );
}

fn names<'a>(mut objects: impl ExactSizeIterator<Item = &'a str>) -> String {
    let shown: Vec<&str> = objects.by_ref().take(MAX_NAMES).collect();
    let shown = shown.join(",");
    match objects.len() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn long_lists_are_cut() {
        let objects: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        let first = |n: usize| names(objects[..n].iter().map(String::as_str));
        assert_eq!(first(2), "0,1");
        assert!(first(23).ends_with("19 and 3 more"));
        assert_eq!(first(20).matches(',').count(), 19);
    }
}
