use std::time::{Duration, Instant};

use coffer_provider::{Pod, PodReport, ReportReason};

use super::super::EventOutcome;
use super::super::api::EventFaultKind;
use super::super::limits::{LONGEST_PAUSE, LONGEST_WAIT, MEMORY, RETRY_REFUSED, SERIES_INTERVALS};
use super::{EventQueue, NextEvent, OutgoingEvent};

const FAILED: ReportReason = ReportReason::SecretRotationFailed;
const RECOVERED: ReportReason = ReportReason::SecretRotationRecovered;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn report(namespace: &str, pod: &str, reason: ReportReason, note: &str) -> PodReport {
    PodReport {
        namespace: namespace.to_owned(),
        pod: Pod { name: pod.to_owned(), uid: format!("uid-{namespace}-{pod}") },
        reason,
        subject: "volume".to_owned(),
        note: note.to_owned(),
    }
}

/// A queue, and a clock that the test moves.
struct Bed {
    queue: EventQueue,
    now: Instant,
}

impl Bed {
    fn new() -> Self {
        Self { queue: EventQueue::default(), now: Instant::now() }
    }

    fn add(&mut self, reason: ReportReason, note: &str) -> Option<EventOutcome> {
        self.queue.add(report("shop", "web", reason, note), self.now)
    }

    /// Returns what is to be sent now, if there is anything.
    fn next(&mut self) -> Option<OutgoingEvent> {
        match self.queue.next(self.now).0 {
            NextEvent::Send(event) => Some(*event),
            NextEvent::Nothing | NextEvent::Later(_) => None,
        }
    }

    /// Moves the clock until something is to be sent. Returns none if nothing waits.
    fn wait(&mut self) -> Option<OutgoingEvent> {
        loop {
            match self.queue.next(self.now).0 {
                NextEvent::Send(event) => return Some(*event),
                NextEvent::Nothing => return None,
                NextEvent::Later(wait) => self.now += wait,
            }
        }
    }

    /// Sends what is to be sent now: note, and count of the series.
    fn send(&mut self) -> Option<(String, i32)> {
        let event = self.next()?;
        let shown = shown(&event);
        self.queue.finish(event, Ok(()), self.now);
        self.now += SECOND;
        Some(shown)
    }
}

fn shown(event: &OutgoingEvent) -> (String, i32) {
    (event.waiting.note.clone(), event.sent.as_ref().map_or(0, |sent| sent.count) + event.waiting.count)
}

#[test]
fn the_same_again_is_one_more_of_a_series_every_few_minutes() {
    let mut bed = Bed::new();
    assert_eq!(bed.add(FAILED, "sealed"), None);
    assert_eq!(bed.send(), Some(("sealed".to_owned(), 1)));
    assert_eq!(bed.add(FAILED, "sealed"), None);
    assert_eq!(bed.add(FAILED, "sealed"), Some(EventOutcome::Merged));
    assert_eq!(bed.send(), None);
    for (interval, count) in SERIES_INTERVALS.into_iter().zip([3, 4, 5, 6]) {
        bed.now += interval - 2 * SECOND;
        assert_eq!(bed.send(), None);
        bed.now += 2 * SECOND;
        let event = bed.next().expect("a series");
        assert!(event.sent.is_some());
        assert_eq!(shown(&event), ("sealed".to_owned(), count));
        bed.queue.finish(event, Ok(()), bed.now);
        bed.add(FAILED, "sealed");
    }
}

#[test]
fn a_change_is_sent_at_once_and_the_old_series_goes_on() {
    let mut bed = Bed::new();
    for (reason, note, count) in [
        (FAILED, "sealed", 1),
        (RECOVERED, "mounted again", 1),
        (FAILED, "sealed", 2),
        (RECOVERED, "mounted again", 2),
    ] {
        assert_eq!(bed.add(reason, note), None, "{note}");
        assert_eq!(bed.send(), Some((note.to_owned(), count)));
    }
    // another text is another event
    bed.add(FAILED, "denied");
    assert_eq!(bed.send(), Some(("denied".to_owned(), 1)));
}

#[test]
fn what_nobody_has_read_is_replaced_by_what_is_true_now() {
    let mut bed = Bed::new();
    bed.add(FAILED, "sealed");
    assert_eq!(bed.add(FAILED, "denied"), Some(EventOutcome::Merged));
    assert_eq!(bed.send(), Some(("denied".to_owned(), 1)));
    assert_eq!(bed.send(), None);

    let mut bed = Bed::new();
    bed.add(FAILED, "sealed");
    assert_eq!(bed.add(RECOVERED, "mounted again"), Some(EventOutcome::Merged));
    assert_eq!(bed.send(), None, "nobody has heard of the failure");
    bed.add(FAILED, "sealed");
    bed.send();
    bed.add(FAILED, "denied");
    bed.add(RECOVERED, "mounted again");
    assert_eq!(bed.send(), Some(("mounted again".to_owned(), 1)));
}

#[test]
fn a_pod_gets_a_few_events_and_then_one_a_minute() {
    let mut bed = Bed::new();
    let mut sent = 0;
    for at in 0..600 {
        bed.add(FAILED, &format!("failure {at}"));
        sent += usize::from(bed.send().is_some());
        bed.now += SECOND;
    }
    assert!((14..=26).contains(&sent), "{sent} events in 10 to 20 minutes");
}

#[test]
fn a_node_sends_at_most_five_a_second_and_less_in_the_long_run() {
    let mut bed = Bed::new();
    let (start, mut sent) = (bed.now, Vec::new());
    for round in 0..4 {
        for pod in 0..100 {
            let report = report("shop", &format!("web-{pod}"), FAILED, &format!("failure {round}"));
            bed.queue.add(report, bed.now);
        }
        while let Some(event) = bed.wait() {
            sent.push(bed.now);
            bed.queue.finish(event, Ok(()), bed.now);
        }
    }
    assert_eq!(sent.len(), 400);
    assert!(sent.windows(6).all(|six| six[5] - six[0] >= SECOND), "more than 5 in a second");
    assert!(sent[99] - start < 30 * SECOND, "the first hundred come soon");
    assert!(sent[399] - start > 9 * MINUTE);
}

#[test]
fn a_namespace_with_many_events_does_not_delay_others_or_take_their_memory() {
    let mut bed = Bed::new();
    let note = "x".repeat(4096);
    let mut outcomes = Vec::new();
    for pod in 0..2_000 {
        outcomes.push(bed.queue.add(report("big", &format!("web-{pod}"), FAILED, &note), bed.now));
    }
    assert!(outcomes.contains(&Some(EventOutcome::Dropped)));
    assert!(bed.queue.shares.taken() <= MEMORY / 2 + 1, "{}", bed.queue.shares.taken());
    let first = bed.next().expect("an event");
    assert_eq!(first.waiting.note.len(), 1024);
    bed.queue.finish(first, Ok(()), bed.now);
    bed.queue.add(report("small", "web", FAILED, "sealed"), bed.now);
    let second = bed.wait().expect("an event");
    assert_eq!(second.namespace(), "small");
}

#[test]
fn an_outage_is_waited_for_and_nothing_waits_for_ever() {
    let mut bed = Bed::new();
    bed.add(FAILED, "sealed");
    let (start, mut attempts) = (bed.now, 0);
    let mut name = None;
    while let Some(event) = bed.wait() {
        assert!(event.waiting.name.is_some());
        assert_eq!(*name.get_or_insert(event.waiting.name.clone()), event.waiting.name, "the same event");
        bed.queue.finish(event, Err(EventFaultKind::MayPass), bed.now);
        attempts += 1;
    }
    assert!(bed.now - start <= LONGEST_WAIT + 2 * LONGEST_PAUSE);
    assert!((10..30).contains(&attempts), "{attempts}");
    assert_eq!(bed.queue.shares.taken(), 0);
    // what comes during an outage is sent after it
    bed.add(FAILED, "sealed");
    let event = bed.wait().expect("an event");
    bed.queue.finish(event, Err(EventFaultKind::MayPass), bed.now);
    assert_eq!(bed.add(FAILED, "sealed"), Some(EventOutcome::Merged));
    let event = bed.wait().expect("the event");
    assert_eq!(shown(&event), ("sealed".to_owned(), 2));
}

#[test]
fn a_series_whose_event_is_gone_begins_anew() {
    let mut bed = Bed::new();
    bed.add(FAILED, "sealed");
    bed.send();
    bed.add(FAILED, "sealed");
    let series = bed.wait().expect("a series");
    let name = series.sent.as_ref().expect("an event").name.clone();
    bed.queue.finish(series, Err(EventFaultKind::Expired), bed.now);
    let new = bed.wait().expect("a new event");
    assert!(new.sent.is_none() && new.waiting.name.as_ref() != Some(&name));
    assert_eq!(new.waiting.count, 1);
}

#[test]
fn a_namespace_that_forbids_events_is_asked_again_seldom_and_silences_no_other() {
    let mut bed = Bed::new();
    bed.add(FAILED, "sealed");
    let event = bed.next().expect("an event");
    bed.queue.finish(event, Err(EventFaultKind::Forbidden), bed.now);
    assert_eq!(bed.add(FAILED, "sealed"), Some(EventOutcome::Refused));
    assert_eq!(bed.queue.shares.taken(), 0);
    bed.queue.add(report("other", "web", FAILED, "sealed"), bed.now);
    bed.now += SECOND;
    assert_eq!(bed.send(), Some(("sealed".to_owned(), 1)));
    bed.now += RETRY_REFUSED;
    assert_eq!(bed.add(FAILED, "sealed"), None);
    assert_eq!(bed.send(), Some(("sealed".to_owned(), 1)));
}

#[test]
fn names_of_events_are_names() {
    let long = format!("{}-{}", "a".repeat(199), "b".repeat(53));
    let mut bed = Bed::new();
    bed.queue.add(report("shop", &long, FAILED, "sealed"), bed.now);
    let name = bed.next().and_then(|event| event.waiting.name).expect("a name");
    assert!(crate::is_object_name(&name), "{name}");
}
