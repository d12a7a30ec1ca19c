//! How many events are sent, and how much memory they may wait in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Time between two events of this node, so that it sends at most five a second.
const SPACING: Duration = Duration::from_millis(200);

/// Events of this node that may come at this pace, after a time without any.
const NODE_BURST: u32 = 100;

/// Time between two events of this node in the long run.
const NODE_INTERVAL: Duration = Duration::from_secs(2);

/// Events of one pod that may come together.
const POD_BURST: u32 = 5;

/// Time between two events of one pod in the long run.
const POD_INTERVAL: Duration = Duration::from_secs(60);

/// Times after which a series is written again. kube-apiserver keeps an event for an hour by
/// default, counted from the last change.
pub(super) const SERIES_INTERVALS: [Duration; 4] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(30 * 60),
];

/// Memory of what waits or was sent lately, in bytes. One namespace alone has half of it.
pub(super) const MEMORY: usize = 512 << 10;

/// What is counted for an event besides its texts, in bytes.
pub(super) const EVENT_BYTES: usize = 512;

/// Time after which what waits is given up.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Time after which what was sent is forgotten: kube-apiserver has forgotten it too.
pub(super) const REMEMBERED: Duration = Duration::from_secs(70 * 60);

/// Pause after kube-apiserver did not take an event for a reason that may pass; twice as long each
/// time, up to [`LONGEST_PAUSE`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest such pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Pause for a namespace in which kube-apiserver forbids events. A quota or a webhook of one
/// namespace must not silence others.
pub(super) const RETRY_REFUSED: Duration = Duration::from_secs(30 * 60);

/// The pace of a node and of its pods.
#[derive(Default)]
pub(super) struct EventPace {
    /// When the next event may be sent by [`SPACING`].
    next: Option<Instant>,
    /// When the node has its whole burst again.
    node_full: Option<Instant>,
    /// When a pod has its whole burst again, by its uid.
    pods_full: HashMap<String, Instant>,
}

impl EventPace {
    /// Returns when this node may send again.
    pub(super) fn node_turn(&self, now: Instant) -> Instant {
        let burst = turn(self.node_full, now, NODE_INTERVAL, NODE_BURST);
        self.next.map_or(burst, |next| next.max(burst)).max(now)
    }

    /// Returns when an event of this pod may be sent.
    pub(super) fn pod_turn(&self, uid: &str, now: Instant) -> Instant {
        turn(self.pods_full.get(uid).copied(), now, POD_INTERVAL, POD_BURST)
    }

    /// Counts a call of this node.
    pub(super) fn count_node(&mut self, now: Instant) {
        self.next = Some(now + SPACING);
        self.node_full = Some(self.node_full.map_or(now, |full| full.max(now)) + NODE_INTERVAL);
    }

    /// Counts an event of a pod.
    pub(super) fn count_pod(&mut self, uid: &str, now: Instant) {
        self.pods_full.retain(|_, full| *full > now);
        let full = self.pods_full.get(uid).copied().unwrap_or(now).max(now);
        self.pods_full.insert(uid.to_owned(), full + POD_INTERVAL);
    }
}

/// Returns when there is a turn again, for whom has the whole burst at `full`.
fn turn(full: Option<Instant>, now: Instant, interval: Duration, burst: u32) -> Instant {
    let Some(full) = full else { return now };
    (full + interval).checked_sub(interval * burst).map_or(now, |at| at.max(now))
}
