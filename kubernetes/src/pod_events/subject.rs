//! One volume or credential of a pod: the events of it that wait, and those that were sent.

use std::time::Instant;

use coffer_provider::{Pod, ReportReason};
use coffer_shares::Share;
use k8s_openapi::jiff::Timestamp;

use super::limits::{EVENT_BYTES, LONGEST_WAIT, REMEMBERED, SERIES_INTERVALS};

/// Events of one subject that are remembered, at most.
const MOST_EVENTS: usize = 4;

/// A volume or credential, and its events.
pub(super) struct Subject {
    pub(super) namespace: String,
    pub(super) pod: Pod,
    pub(super) events: Vec<SubjectEvent>,
    /// The reason of what was sent last.
    last_sent: Option<ReportReason>,
    /// The memory of all this.
    pub(super) share: Share,
}

/// What is known of one event: one reason with one text.
pub(super) struct SubjectEvent {
    pub(super) reason: ReportReason,
    /// Tells texts apart after they were sent.
    pub(super) note_digest: u64,
    pub(super) waiting: Option<Waiting>,
    pub(super) sent: Option<SentEvent>,
}

/// What waits to be sent.
pub(super) struct Waiting {
    pub(super) note: String,
    /// How often it was reported.
    pub(super) count: i32,
    /// When it was reported first, and last.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// When it began to wait.
    pub(super) since: Instant,
    /// The name of the new event, from the first attempt on: an attempt without an answer may have
    /// made it.
    pub(super) name: Option<String>,
}

/// An event that kube-apiserver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentEvent {
    pub(super) name: String,
    pub(super) count: i32,
    pub(super) at: Instant,
    /// How often the series was written.
    pub(super) writes: usize,
}

impl Subject {
    pub(super) fn new(namespace: String, pod: Pod, share: Share) -> Self {
        Self { namespace, pod, events: Vec::new(), last_sent: None, share }
    }

    /// Returns when an event may be sent by the rules of series: at once if it is new, or if
    /// something else was sent of the subject since.
    pub(super) fn due(&self, event: &SubjectEvent) -> Option<Instant> {
        let waiting = event.waiting.as_ref()?;
        Some(match &event.sent {
            Some(sent) if self.last_sent == Some(event.reason) => {
                let interval = SERIES_INTERVALS[sent.writes.min(SERIES_INTERVALS.len() - 1)];
                sent.at + interval
            }
            _ => waiting.since,
        })
    }

    /// Removes what waits of other reasons or texts and was never sent, since it is out of date.
    /// Returns whether there was anything.
    pub(super) fn replace_unsent(&mut self, reason: ReportReason, note_digest: u64) -> bool {
        let before = self.events.len();
        self.events.retain(|event| {
            let is_same = event.reason == reason && event.note_digest == note_digest;
            is_same || event.sent.is_some() || event.waiting.is_none()
        });
        self.events.len() < before
    }

    /// Notes that an event was sent.
    pub(super) fn note_sent(&mut self, reason: ReportReason, note_digest: u64, sent: SentEvent) {
        self.last_sent = Some(reason);
        if let Some(event) = self.event(reason, note_digest) {
            event.sent = Some(sent);
        }
        while self.events.len() > MOST_EVENTS
            && let Some(oldest) = self.oldest_idle()
        {
            self.events.swap_remove(oldest);
        }
    }

    fn oldest_idle(&self) -> Option<usize> {
        let idle = self.events.iter().enumerate().filter(|(_, event)| event.waiting.is_none());
        let sent = idle.filter_map(|(at, event)| Some((event.sent.as_ref()?.at, at)));
        sent.min().map(|(_, at)| at)
    }

    /// Returns the event of a reason and a text.
    pub(super) fn event(&mut self, reason: ReportReason, note_digest: u64) -> Option<&mut SubjectEvent> {
        self.events.iter_mut().find(|event| event.reason == reason && event.note_digest == note_digest)
    }

    /// Gives up what has waited for too long, and forgets what was sent long ago. Returns how many
    /// were given up.
    pub(super) fn forget(&mut self, now: Instant) -> usize {
        let mut given_up = 0;
        for event in &mut self.events {
            let is_new = event.sent.is_none();
            let is_old = |waiting: &Waiting| now.saturating_duration_since(waiting.since) > LONGEST_WAIT;
            // what waits for its series has its time
            if is_new && event.waiting.as_ref().is_some_and(is_old) {
                event.waiting = None;
                given_up += 1;
            }
            let is_forgotten = |sent: &SentEvent| now.saturating_duration_since(sent.at) > REMEMBERED;
            if event.sent.as_ref().is_some_and(is_forgotten) {
                event.sent = None;
            }
        }
        self.events.retain(|event| event.waiting.is_some() || event.sent.is_some());
        given_up
    }

    /// Returns the time of what was sent last; `None` where something waits.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.events.iter().any(|event| event.waiting.is_some()) {
            return None;
        }
        self.events.iter().filter_map(|event| event.sent.as_ref()).map(|sent| sent.at).max()
    }

    /// Returns the memory that the subject takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let names = self.namespace.len() + self.pod.name.len() + self.pod.uid.len();
        let notes = self
            .events
            .iter()
            .map(|event| EVENT_BYTES + event.waiting.as_ref().map_or(0, |waiting| waiting.note.len()));
        EVENT_BYTES + names + notes.sum::<usize>()
    }
}

impl Waiting {
    /// Adds what waited for the same event before.
    pub(super) fn after(mut self, before: Option<Self>) -> Self {
        if let Some(before) = before {
            self.count = self.count.saturating_add(before.count);
            (self.first, self.since, self.name) = (before.first, before.since, before.name);
        }
        self
    }
}
