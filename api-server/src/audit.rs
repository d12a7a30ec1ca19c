//! The audit log: one line for each read and for each denied request. No line holds a secret value.

use std::time::Duration;

use crate::api_error::ApiError;
use crate::route::ObjectScope;
use crate::user::User;
use crate::verb::Verb;
use crate::watched_class::WatchedClass;

/// Log target of audit lines, which are written whatever the log level.
pub(crate) const TARGET: &str = "audit";

/// Objects that are named in one line, at most.
const MAX_NAMES: usize = 20;

/// Writes the line of a read that was answered with the HTTP status `code`.
pub(crate) fn read(
    user: &User,
    read_as: Option<&str>,
    class: &WatchedClass,
    code: u16,
    problem: Option<&str>,
    took: Duration,
) {
    let objects =
        class.class.as_ref().map(|class| names(class.objects.iter().map(|object| object.file.as_str())));
    let objects = objects.unwrap_or_default();
    tracing::info!(
        target: TARGET,
        user = user.name,
        uid = user.uid,
        read_as,
        namespace = &*class.namespace,
        class = &*class.name,
        objects,
        code,
        problem,
        ms = took.as_millis(),
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
