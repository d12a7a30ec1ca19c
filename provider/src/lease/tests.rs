mod held;
mod reports;
mod restarts;

use std::sync::Arc;
use std::time::Instant;

use super::Background;
use super::renew::renew;
use super::schedule::Schedule;
use crate::session::Session;
use crate::session::tests::bed::Bed;

/// Returns the state that the lease manager works on.
pub(crate) fn background(bed: &Bed) -> Arc<Background> {
    Arc::new(Background {
        sessions: Arc::clone(&bed.sessions),
        targets: Arc::clone(&bed.targets),
        leases: Arc::clone(&bed.leases),
        clock: Arc::clone(&bed.clock) as _,
        metrics: Arc::clone(&bed.metrics),
        reporter: Arc::clone(&bed.reports) as _,
        pace: Default::default(),
    })
}

/// Runs the renewals of a session that are due.
pub(crate) async fn renew_due(session: &Arc<Session>, bed: &Bed) {
    let due = Schedule::of(session, bed.clock_now()).due;
    renew(background(bed), Arc::clone(session), due).await;
}

/// Returns when the next renewal of a session is due; now if one is due already.
fn next_renewal(session: &Arc<Session>, bed: &Bed) -> Option<Instant> {
    let schedule = Schedule::of(session, bed.clock_now());
    schedule.due.first().map(|_| bed.clock_now()).or(schedule.next)
}
