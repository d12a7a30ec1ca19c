//! What waits to be sent, and in which order: no call is made here, and time is an argument.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use coffer_provider::{Pod, PodReport, ReportReason};
use coffer_shares::{Priority, Shares};
use k8s_openapi::jiff::Timestamp;

use super::EventOutcome;
use super::api::EventFaultKind;
use super::limits::{EVENT_BYTES, EventPace, FIRST_PAUSE, LONGEST_PAUSE, MEMORY, REMEMBERED, RETRY_REFUSED};
use super::subject::{SentEvent, Subject, SubjectEvent, Waiting};

/// Longest note of an event, in bytes: kube-apiserver's limit.
const LONGEST_NOTE: usize = 1024;

/// Uid of a pod, and the subject.
type SubjectKey = (String, String);

/// The events that wait, and those that were sent lately.
pub(super) struct EventQueue {
    shares: Shares,
    subjects: HashMap<SubjectKey, Subject>,
    pace: EventPace,
    /// When an event of a namespace was last sent: whose turn it is.
    served: HashMap<String, Instant>,
    /// Namespaces in which kube-apiserver forbids events, and until when none is sent there.
    refused: HashMap<String, Instant>,
    /// Until when nothing is sent, and how long the pause is.
    pause: Option<(Instant, Duration)>,
}

/// What to do next.
pub(super) enum NextEvent {
    /// Nothing waits.
    Nothing,
    /// Nothing may be sent for so long.
    Later(Duration),
    Send(Box<OutgoingEvent>),
}

/// An event to be sent: a new one, or one more of a series.
pub(super) struct OutgoingEvent {
    key: SubjectKey,
    namespace: String,
    pub(super) pod: Pod,
    pub(super) reason: ReportReason,
    note_digest: u64,
    /// What waited. Always with a name.
    pub(super) waiting: Waiting,
    /// The event of the series, if there is one.
    pub(super) sent: Option<SentEvent>,
}

impl Default for EventQueue {
    fn default() -> Self {
        Self {
            shares: Shares::new(MEMORY),
            subjects: HashMap::new(),
            pace: EventPace::default(),
            served: HashMap::new(),
            refused: HashMap::new(),
            pause: None,
        }
    }
}

impl EventQueue {
    /// Adds a report. Returns what became of it, where no new event waits.
    pub(super) fn add(&mut self, mut report: PodReport, now: Instant) -> Option<EventOutcome> {
        if self.refused.get(&report.namespace).is_some_and(|until| *until > now) {
            return Some(EventOutcome::Refused);
        }
        report.note.truncate(report.note.floor_char_boundary(LONGEST_NOTE));
        let key = (report.pod.uid.clone(), report.subject);
        let (reason, note_digest) = (report.reason, digest(&report.note));
        let Some(subject) = self.subject(key, report.namespace, report.pod, report.note.len()) else {
            return Some(EventOutcome::Dropped);
        };
        let time = Timestamp::now();
        let waiting =
            Waiting { note: report.note, count: 1, first: time, last: time, since: now, name: None };
        let is_replaced = subject.replace_unsent(reason, note_digest);
        let is_known = subject.events.iter().any(|event| event.sent.is_some());
        let outcome = match subject.event(reason, note_digest) {
            // nobody has heard of the failure
            _ if reason == ReportReason::SecretRotationRecovered && is_replaced && !is_known => {
                Some(EventOutcome::Merged)
            }
            Some(event) => {
                let is_merged = event.waiting.is_some();
                event.waiting = Some(waiting.after(event.waiting.take()));
                is_merged.then_some(EventOutcome::Merged)
            }
            None => {
                subject.events.push(SubjectEvent { reason, note_digest, waiting: Some(waiting), sent: None });
                is_replaced.then_some(EventOutcome::Merged)
            }
        };
        subject.share.shrink_to(subject.bytes());
        outcome
    }

    /// Returns what to do next, and how many reports were given up since the last call. What is to be
    /// sent leaves the queue, until [`Self::finish`].
    pub(super) fn next(&mut self, now: Instant) -> (NextEvent, usize) {
        let given_up = self.forget(now);
        let mut best: Option<(Option<Instant>, Instant, &SubjectKey, usize)> = None;
        let mut next: Option<Instant> = None;
        for (key, subject) in &self.subjects {
            for (at, event) in subject.events.iter().enumerate() {
                let Some(due) = subject.due(event) else { continue };
                let ready = due.max(self.pace.pod_turn(&subject.pod.uid, now));
                if ready > now {
                    next = Some(next.map_or(ready, |next| next.min(ready)));
                    continue;
                }
                let served = self.served.get(&subject.namespace).copied();
                let place = (served, due, key, at);
                if best.is_none_or(|best| (place.0, place.1) < (best.0, best.1)) {
                    best = Some(place);
                }
            }
        }
        let Some((_, _, key, at)) = best else {
            return (next.map_or(NextEvent::Nothing, |at| NextEvent::Later(at - now)), given_up);
        };
        let turn = self.pace.node_turn(now).max(self.pause.map_or(now, |(until, _)| until));
        if turn > now {
            return (NextEvent::Later(turn - now), given_up);
        }
        let key = key.clone();
        (self.take(key, at, now).map_or(NextEvent::Nothing, NextEvent::Send), given_up)
    }

    /// Takes note of what became of an event.
    pub(super) fn finish(&mut self, event: OutgoingEvent, result: Result<(), EventFaultKind>, now: Instant) {
        let OutgoingEvent { key, namespace, pod, reason, note_digest, waiting, sent } = event;
        if result != Err(EventFaultKind::MayPass) {
            self.pause = None;
        }
        match result {
            Ok(()) => {
                self.pace.count_pod(&pod.uid, now);
                let (name, count, writes) = match sent {
                    Some(sent) => (sent.name, sent.count.saturating_add(waiting.count), sent.writes + 1),
                    None => (waiting.name.unwrap_or_default(), waiting.count, 0),
                };
                let sent = SentEvent { name, count, at: now, writes };
                if let Some(subject) = self.subjects.get_mut(&key) {
                    subject.note_sent(reason, note_digest, sent);
                }
            }
            Err(EventFaultKind::Expired) => self.put_back(&key, (reason, note_digest), waiting, None),
            Err(EventFaultKind::MayPass) => {
                let length = self.pause.map_or(FIRST_PAUSE, |(_, last)| (last * 2).min(LONGEST_PAUSE));
                self.pause = Some((now + length, length));
                self.put_back(&key, (reason, note_digest), waiting, sent);
            }
            Err(EventFaultKind::Forbidden) => {
                self.subjects.retain(|_, subject| subject.namespace != namespace);
                self.refused.insert(namespace, now + RETRY_REFUSED);
            }
            Err(EventFaultKind::NoNamespace | EventFaultKind::Invalid) => {}
        }
        if let Some(subject) = self.subjects.get_mut(&key) {
            subject.share.shrink_to(subject.bytes());
        }
    }

    /// Returns the subject of a report, with room for one more note. `None` where there is no room.
    fn subject(&mut self, key: SubjectKey, namespace: String, pod: Pod, note: usize) -> Option<&mut Subject> {
        let bytes = EVENT_BYTES + note;
        loop {
            let has_room = match self.subjects.get_mut(&key) {
                Some(subject) => subject.share.try_grow(bytes),
                None => {
                    let names = key.1.len() + 2 * key.0.len() + namespace.len() + pod.name.len();
                    let share =
                        self.shares.try_take(&namespace, EVENT_BYTES + names + bytes, Priority::Common);
                    let made = share.map(|share| Subject::new(namespace.clone(), pod.clone(), share));
                    made.map(|subject| self.subjects.insert(key.clone(), subject)).is_some()
                }
            };
            if has_room {
                return self.subjects.get_mut(&key);
            }
            if !self.remove_oldest_of(&namespace, &key) {
                return None;
            }
        }
    }

    /// Forgets the subject of a namespace of which nothing waits, and of which something was sent
    /// longest ago. Returns whether there was one.
    fn remove_oldest_of(&mut self, namespace: &str, but: &SubjectKey) -> bool {
        let own = self.subjects.iter().filter(|(key, subject)| subject.namespace == namespace && *key != but);
        let oldest = own.filter_map(|(key, subject)| Some((subject.idle_since()?, key))).min();
        let oldest = oldest.map(|(_, key)| key.clone());
        oldest.and_then(|key| self.subjects.remove(&key)).is_some()
    }

    /// Gives up and forgets what is old. Returns how many reports were given up.
    fn forget(&mut self, now: Instant) -> usize {
        self.refused.retain(|_, until| *until > now);
        self.served.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED);
        let mut given_up = 0;
        self.subjects.retain(|_, subject| {
            given_up += subject.forget(now);
            subject.share.shrink_to(subject.bytes());
            !subject.events.is_empty()
        });
        given_up
    }

    fn take(&mut self, key: SubjectKey, at: usize, now: Instant) -> Option<Box<OutgoingEvent>> {
        let subject = self.subjects.get_mut(&key)?;
        let event = subject.events.get_mut(at)?;
        let mut waiting = event.waiting.take()?;
        let (reason, note_digest, sent) = (event.reason, event.note_digest, event.sent.clone());
        waiting.name.get_or_insert_with(|| event_name(&subject.pod.name, waiting.first));
        let (namespace, pod) = (subject.namespace.clone(), subject.pod.clone());
        self.pace.count_node(now);
        self.served.insert(namespace.clone(), now);
        Some(Box::new(OutgoingEvent { key, namespace, pod, reason, note_digest, waiting, sent }))
    }

    fn put_back(
        &mut self,
        key: &SubjectKey,
        (reason, note_digest): (ReportReason, u64),
        waiting: Waiting,
        sent: Option<SentEvent>,
    ) {
        let Some(event) = self.subjects.get_mut(key).and_then(|subject| subject.event(reason, note_digest))
        else {
            return;
        };
        event.waiting = Some(match event.waiting.take() {
            Some(later) => later.after(Some(waiting)),
            None => waiting,
        });
        event.sent = sent;
    }
}

impl OutgoingEvent {
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Returns a name for a new event, in client-go's form: the pod's name, and a number.
fn event_name(pod: &str, time: Timestamp) -> String {
    let mut prefix = pod[..pod.floor_char_boundary(200)].to_owned();
    prefix.truncate(prefix.trim_end_matches(['.', '-']).len());
    format!("{prefix}.{:x}", time.as_nanosecond())
}

fn digest(note: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    note.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
