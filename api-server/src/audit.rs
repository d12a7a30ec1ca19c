//! One line in the log for each read: who, as whom, which class and objects, with what outcome. One, too, for each
//! request that an access review denied. Never a value.

use std::time::Duration;

use crate::class::HeldClass;
use crate::failure::Failure;
use crate::route::Place;
use crate::user::User;

/// The target of these lines: they are written whatever the log level.
pub(crate) const TARGET: &str = "audit";

/// Objects that are named in a line, at most.
const NAMED: usize = 20;

/// Writes the line of a read that ended with the HTTP status `code`.
pub(crate) fn read(
    user: &User,
    read_as: Option<&str>,
    class: &HeldClass,
    code: u16,
    problem: Option<&str>,
    took: Duration,
) {
    let objects = class.summary.as_ref().map(|summary| named(&summary.objects)).unwrap_or_default();
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

/// Writes the line of a request that an access review did not allow.
pub(crate) fn denied(user: &User, verb: &str, place: Place<'_>, failure: &Failure) {
    tracing::info!(
        target: TARGET,
        user = user.name,
        uid = user.uid,
        verb,
        namespace = place.namespace,
        class = place.name,
        code = failure.code().as_u16(),
        problem = failure.message(),
        "denied"
    );
}

fn named(objects: &[Box<str>]) -> String {
    let shown = objects.iter().take(NAMED).map(|name| &**name).collect::<Vec<_>>().join(",");
    match objects.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<Box<str>> = (0..23).map(|n| n.to_string().into()).collect();
        assert_eq!(named(&names[..2]), "0,1");
        assert!(named(&names).ends_with("19 and 3 more"));
        assert_eq!(named(&names[..20]).matches(',').count(), 19);
    }
}
