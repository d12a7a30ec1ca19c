//! The lease manager: a background loop that stores changed sessions, renews tokens and leases, and
//! revokes tokens when the pod is gone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_vault::Targets;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep_until;

use super::inventory::InventorySource;
use super::renew::renew;
use super::revoke::{self, revoke_ended};
use super::schedule::Schedule;
use super::{Leases, RenewalPace, StateStore, record};
use crate::metrics::ReadMetrics;
use crate::session::{Session, Sessions};
use crate::{Clock, PodReporter};

/// An event of the pod watch. A missing event is no evidence that a pod is gone.
#[derive(Debug)]
pub enum PodEvent {
    /// The uids of all pods of the node that have not finished, and the time when the list was
    /// requested.
    Listed(HashSet<String>, Instant),
    /// The pod with this uid exists.
    Appeared(String),
    /// The pod with this uid was deleted, or has finished for good.
    Gone(String),
    /// The watch cannot report the end of pods until the next list, for this reason.
    Unwatchable(String),
}

/// The connection of the lease manager to the pod watch.
pub struct PodEvents {
    /// The events of the watch.
    pub events: mpsc::Receiver<PodEvent>,
    /// Makes the watch list all pods again.
    pub list: Arc<Notify>,
}

/// Manages the leases of this node's pods until [`Self::stop`].
pub struct LeaseManager {
    background: Arc<Background>,
    task: JoinHandle<()>,
}

/// Stores records again that are not in the state store any more.
#[derive(Clone)]
pub struct LostRecords(Arc<Background>);

/// The state that the lease manager shares with the read path.
pub(crate) struct Background {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) targets: Arc<Targets>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<ReadMetrics>,
    pub(crate) reporter: Arc<dyn PodReporter>,
    pub(crate) pace: RenewalPace,
}

/// Maximum delay of the watch for the pod of a new session. A pod that is not listed after that
/// time was probably deleted, and the watch lists all pods again.
const UNLISTED_GRACE: Duration = Duration::from_secs(30);

/// Minimum wait between two checks of all sessions.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Maximum wait between two checks of all sessions.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl LeaseManager {
    /// Restores the stored sessions, and starts the background loop. Call this function before the
    /// first read.
    pub(crate) fn start(background: Arc<Background>, store: Arc<dyn StateStore>, pods: PodEvents) -> Self {
        background.leases.start(store, Arc::clone(&background.clock));
        background.restore();
        let lease_loop = LeaseLoop {
            relist_asked: background.clock.now(),
            background: Arc::clone(&background),
            pods: None,
            relist: pods.list,
            tasks: JoinSet::new(),
        };
        Self { task: tokio::spawn(lease_loop.run(pods.events)), background }
    }

    /// Returns the source of the inventory.
    #[must_use]
    pub fn inventory_source(&self) -> InventorySource {
        InventorySource(Arc::clone(&self.background))
    }

    /// Returns what stores records again.
    #[must_use]
    pub fn lost_records(&self) -> LostRecords {
        LostRecords(Arc::clone(&self.background))
    }

    /// Stops the lease manager, and stores all sessions for the next start. If `revoke_within` is
    /// set, all tokens are revoked too, as far as that time allows.
    pub async fn stop(self, revoke_within: Option<Duration>) {
        self.task.abort();
        let _ = self.task.await;
        if let Some(store) = self.background.leases.active() {
            let sessions = self.background.sessions.all();
            let is_unsaved =
                |session: &&Arc<Session>| session.pod().is_some() && session.changes.are_pending();
            sessions.iter().filter(is_unsaved).for_each(|session| store.save(session));
        }
        if let Some(time) = revoke_within {
            revoke::revoke_all(&self.background, time).await;
        }
    }
}

impl LostRecords {
    /// Stores the sessions again whose records somebody removed from the state store.
    pub fn store_again(&self) {
        let Some(store) = self.0.leases.active() else { return };
        for session in self.0.sessions.all().iter().chain(&self.0.sessions.ended()) {
            store.store_if_lost(session);
        }
    }
}

impl Background {
    /// Stores a session.
    pub(super) fn save(&self, session: &Session) {
        if let Some(store) = self.leases.store() {
            store.save(session);
        }
    }

    /// Removes a session's record.
    pub(super) fn remove(&self, session: &Session) {
        if let Some(store) = self.leases.store() {
            store.remove(session);
        }
    }

    /// Revokes the tokens of an evicted session, in a task.
    pub(crate) fn revoke_evicted(background: &Arc<Self>, session: Arc<Session>) {
        background.save(&session);
        if session.claim_revocation() {
            tokio::spawn(revoke_ended(Arc::clone(background), session, Duration::ZERO));
        }
    }

    /// Restores every stored session, one after another. A record that cannot be used is set aside.
    fn restore(&self) {
        let Some(store) = self.leases.store() else { return };
        let mut sessions = 0;
        for name in store.names() {
            let Some(stored) = store.load(&name) else { continue };
            match record::restore(name.clone(), &stored, &self.sessions, &*self.clock) {
                Ok(_) => sessions += 1,
                Err(reason) => store.set_aside(&name, &reason),
            }
        }
        tracing::info!(sessions, "restored the stored tokens and leases");
    }
}

/// The background loop.
struct LeaseLoop {
    background: Arc<Background>,
    /// Uids of the node's pods; none before the first event.
    pods: Option<HashSet<String>>,
    /// Makes the watch list all pods again.
    relist: Arc<Notify>,
    /// When the watch was last asked for a list.
    relist_asked: Instant,
    /// Renewals and revocations in progress.
    tasks: JoinSet<()>,
}

impl LeaseLoop {
    async fn run(mut self, mut events: mpsc::Receiver<PodEvent>) {
        for session in self.background.sessions.ended() {
            self.revoke(session, Duration::ZERO);
        }
        loop {
            let wait = self.check_sessions();
            self.wait(wait, &mut events).await;
        }
    }

    /// Handles pod events until the next check of all sessions: after `wait`, or soon after a
    /// session changed. Changes are collected for a moment, since a check takes time for each
    /// session.
    async fn wait(&mut self, wait: Duration, events: &mut mpsc::Receiver<PodEvent>) {
        let wake = Arc::clone(&self.background.sessions.wake);
        let soon = tokio::time::Instant::now() + SHORTEST_WAIT;
        let mut until = tokio::time::Instant::now() + wait;
        loop {
            tokio::select! {
                Some(event) = events.recv() => {
                    self.handle_pod_event(event);
                    until = until.min(soon);
                }
                () = wake.notified() => until = until.min(soon),
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
                () = sleep_until(until) => return,
            }
        }
    }

    /// Stores changed sessions and starts the renewals that are due. Returns the wait until the
    /// next check.
    fn check_sessions(&mut self) -> Duration {
        let background = Arc::clone(&self.background);
        let now = background.clock.now();
        let mut next = now + LONGEST_WAIT;
        let mut leases = 0;
        let store = background.leases.active();
        for session in background.sessions.all() {
            leases += session.issued.leases(now);
            if self.is_unlisted(&session) {
                next = next.min(self.check_unlisted(&session, now));
            }
            let Some(store) = store.filter(|_| session.pod().is_some()) else { continue };
            if session.changes.are_pending() {
                next = store.save_when_due(&session).map_or(next, |at| next.min(at));
            }
            let schedule = Schedule::of(&session, now);
            if !schedule.due.is_empty() {
                self.tasks.spawn(renew(Arc::clone(&background), session, schedule.due));
            }
            next = schedule.next.map_or(next, |at| next.min(at));
        }
        background.metrics.leases(leases);
        next.saturating_duration_since(now).max(SHORTEST_WAIT)
    }

    fn is_unlisted(&self, session: &Session) -> bool {
        self.pods.as_ref().is_some_and(|pods| !is_listed(pods, session))
    }

    /// Asks the watch for a list of all pods, if the pod of this session is not listed after
    /// [`UNLISTED_GRACE`]. Returns when to check again.
    fn check_unlisted(&mut self, session: &Session, now: Instant) -> Instant {
        if session.is_created_since(now.checked_sub(UNLISTED_GRACE).unwrap_or(now)) {
            return now + UNLISTED_GRACE;
        }
        if now.saturating_duration_since(self.relist_asked) >= UNLISTED_GRACE {
            self.relist_asked = now;
            self.relist.notify_one();
        }
        self.relist_asked + UNLISTED_GRACE
    }

    fn handle_pod_event(&mut self, event: PodEvent) {
        match event {
            PodEvent::Listed(pods, began) => {
                if self.background.leases.switch(true) || self.pods.is_none() {
                    tracing::info!(
                        pods = pods.len(),
                        "the node's pods are watched: leases are kept and renewed"
                    );
                }
                self.end_sessions(|session| !is_listed(&pods, session) && !session.is_created_since(began));
                self.pods = Some(pods);
            }
            PodEvent::Appeared(uid) => {
                self.pods.get_or_insert_default().insert(uid);
            }
            PodEvent::Gone(uid) => {
                self.end_sessions(|session| session.pod().is_some_and(|pod| pod.uid == uid));
                self.pods.get_or_insert_default().remove(&uid);
            }
            PodEvent::Unwatchable(reason) => {
                if self.background.leases.switch(false) {
                    tracing::warn!(
                        "leases are not kept, renewed or revoked, for this node's pods cannot be watched: \
                         {reason}"
                    );
                }
            }
        }
    }

    /// Ends sessions, stores their end, and starts the revocation of their tokens.
    fn end_sessions(&mut self, is_gone: impl Fn(&Session) -> bool) {
        for session in self.background.sessions.end(is_gone) {
            self.background.save(&session);
            self.revoke(session, revoke::GRACE);
        }
    }

    fn revoke(&mut self, session: Arc<Session>, grace: Duration) {
        if session.claim_revocation() {
            self.tasks.spawn(revoke_ended(Arc::clone(&self.background), session, grace));
        }
    }
}

/// Returns whether a session's pod is listed; a session without a pod counts as listed.
fn is_listed(pods: &HashSet<String>, session: &Session) -> bool {
    session.pod().is_none_or(|pod| pods.contains(&pod.uid))
}
