//! Looks after what was issued, in the background: stores it, has it renewed in time, and has it revoked when its pod
//! is gone.

mod revocation;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::attempt::Attempt;
use crate::keeping::Keeping;
use crate::read::Provider;
use crate::session::{Renewing, Session};
use crate::vault::{TargetHandle, Vault};

/// What a watch on this node's pods tells. Only what it tells counts: that it is silent says nothing.
#[derive(Debug)]
pub enum PodEvent {
    /// The uids of all pods that have not finished, by a list that was begun at this moment.
    Listed(HashSet<String>, Instant),
    /// A pod is there.
    Appeared(String),
    /// A pod was deleted, or has finished for good.
    Gone(String),
    /// The end of a pod would not be noticed, until the next list, and why.
    Unwatchable(String),
}

/// The watch on this node's pods, as the keeper holds it.
pub struct PodEvents {
    /// What it tells.
    pub events: mpsc::Receiver<PodEvent>,
    /// Has it list all pods anew.
    pub list: Arc<Notify>,
}

/// How long the watch may take to tell of a pod that mounts already. A pod that no list has was deleted meanwhile.
const UNSEEN: Duration = Duration::from_secs(30);

/// Between two looks at all sessions, at the least and at the most.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

struct Keeper {
    provider: Arc<Provider>,
    keeping: Arc<Keeping>,
    /// Pods that are there; none before the first list.
    pods: Option<HashSet<String>>,
    /// Has all pods listed anew.
    relist: Arc<Notify>,
    /// When it was last asked for.
    relist_asked: Instant,
    tasks: JoinSet<()>,
}

impl Provider {
    /// Takes up what was stored before the process was started: call it once, before the first read.
    pub fn restore(&self) {
        let Some(keeping) = &self.keeping else { return };
        let mut taken = 0;
        for (name, record) in keeping.load() {
            match self.sessions.restore(name.clone(), &record) {
                Ok(restored) => {
                    taken += 1;
                    restored.tell_of_lost_answers();
                    if restored.ended {
                        self.sessions.put_ended(restored.session);
                    }
                }
                Err(reason) => keeping.set_aside(&name, &reason),
            }
        }
        tracing::info!(sessions = taken, "took up the stored tokens and leases");
    }

    /// Looks after what is kept, until it is dropped.
    pub async fn keep(self: Arc<Self>, mut pods: PodEvents) {
        let Some(keeping) = self.keeping.clone() else { return };
        let now = self.clock.now();
        let relist = Arc::clone(&pods.list);
        let tasks = JoinSet::new();
        let mut keeper = Keeper { provider: self, keeping, pods: None, relist, relist_asked: now, tasks };
        for session in keeper.provider.sessions.ended() {
            keeper.revoke(session, Duration::ZERO);
        }
        loop {
            let wait = keeper.look();
            tokio::select! {
                Some(event) = pods.events.recv() => keeper.heed(event),
                () = keeper.keeping.changed.notified() => {}
                Some(_) = keeper.tasks.join_next(), if !keeper.tasks.is_empty() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Vault, for what is done for a session in the background. A request's time begins with its turn.
    fn vault_of<'a>(&'a self, session: &'a Session, target: &'a TargetHandle) -> Vault<'a> {
        Vault {
            target,
            namespace: session.key().namespace.as_deref(),
            deadline: tokio::time::Instant::now(),
            metrics: &self.metrics,
        }
    }

    /// Stores what was not stored yet, at the end of the process.
    pub fn store_changes(&self) {
        if self.keeping.is_some() {
            self.sessions.all().iter().for_each(|session| session.store_changes());
        }
    }
}

impl Keeper {
    /// Stores what changed and starts what is due. The answer is how long nothing will be.
    fn look(&mut self) -> Duration {
        let now = self.provider.clock.now();
        let mut next = now + LONGEST_WAIT;
        let mut leases = 0;
        for session in self.provider.sessions.all() {
            session.store_changes();
            leases += session.leases();
            if self.is_unseen(&session) {
                next = next.min(self.look_for_unseen(&session, now));
            }
            for attempt in [Attempt::First, Attempt::Again] {
                match session.next_renewal(attempt) {
                    Some(at) if at <= now => {
                        let renewing = session.start_renewing(attempt);
                        self.tasks.spawn(renew(Arc::clone(&self.provider), Arc::clone(&session), renewing));
                    }
                    Some(at) => next = next.min(at),
                    None => {}
                }
            }
        }
        self.provider.metrics.leases(leases);
        next.saturating_duration_since(now).max(SHORTEST_WAIT)
    }

    fn is_unseen(&self, session: &Session) -> bool {
        self.pods.as_ref().is_some_and(|pods| !is_among(pods, session))
    }

    /// Has all pods listed anew, once the watch had its time to tell of this one. The answer is when to look again.
    fn look_for_unseen(&mut self, session: &Session, now: Instant) -> Instant {
        if session.is_made_since(now.checked_sub(UNSEEN).unwrap_or(now)) {
            return now + UNSEEN;
        }
        if now.saturating_duration_since(self.relist_asked) >= UNSEEN {
            self.relist_asked = now;
            self.relist.notify_one();
        }
        self.relist_asked + UNSEEN
    }

    fn heed(&mut self, event: PodEvent) {
        match event {
            PodEvent::Listed(pods, began) => {
                if self.keeping.switch(true) || self.pods.is_none() {
                    tracing::info!(
                        pods = pods.len(),
                        "the node's pods are watched: leases are kept and renewed"
                    );
                }
                let is_gone = |session: &Session| !is_among(&pods, session) && !session.is_made_since(began);
                self.end(self.provider.sessions.take(is_gone));
                self.pods = Some(pods);
            }
            PodEvent::Appeared(uid) => {
                self.pods.get_or_insert_default().insert(uid);
            }
            PodEvent::Gone(uid) => {
                let is_gone = |session: &Session| session.pod().is_some_and(|pod| pod.uid == uid);
                self.end(self.provider.sessions.take(is_gone));
                self.pods.get_or_insert_default().remove(&uid);
            }
            PodEvent::Unwatchable(reason) => self.stop_keeping(&reason),
        }
    }

    /// Keeps nothing while the end of a pod would not be noticed.
    fn stop_keeping(&self, reason: &str) {
        if self.keeping.switch(false) {
            tracing::warn!(
                "leases are not kept, renewed or revoked, for this node's pods cannot be watched: {reason}"
            );
        }
    }

    fn end(&mut self, sessions: Vec<Arc<Session>>) {
        for session in sessions {
            session.mark_ended();
            self.provider.sessions.put_ended(Arc::clone(&session));
            self.revoke(session, revocation::GRACE);
        }
    }

    fn revoke(&mut self, session: Arc<Session>, grace: Duration) {
        self.tasks.spawn(Arc::clone(&self.provider).revoke_ended(session, grace));
    }
}

/// Whether a session's pod is one of these, or it has none.
fn is_among(pods: &HashSet<String>, session: &Session) -> bool {
    session.pod().is_none_or(|pod| pods.contains(&pod.uid))
}

async fn renew(provider: Arc<Provider>, session: Arc<Session>, renewing: Renewing) {
    let Ok(target) = provider.targets.handle(&session.key().target) else { return renewing.put_off() };
    renewing.renew_due(&provider.vault_of(&session, &target)).await;
}
