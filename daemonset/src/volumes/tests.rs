use std::collections::HashSet;
use std::time::{Duration, Instant};

use coffer_provider::{Error, ErrorKind, Pod, PodEvent};

use super::{FORGOTTEN, FORGOTTEN_FAILURE, MEMORY, PodVolume, UNLISTED, VolumeChange, Volumes};

const SECOND: Duration = Duration::from_secs(1);

fn volume(namespace: &str, pod: &str) -> PodVolume {
    PodVolume {
        namespace: namespace.to_owned(),
        pod: Pod { name: pod.to_owned(), uid: format!("uid-of-{namespace}-{pod}") },
        class: "db".to_owned(),
        path: "/target".to_owned(),
        has_files: false,
    }
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "Vault is sealed").with_detail("for the operator alone")
}

fn listed(uids: &[&str], now: Instant) -> PodEvent {
    PodEvent::Listed(uids.iter().map(ToString::to_string).collect::<HashSet<_>>(), now)
}

#[test]
fn a_volume_fails_since_its_first_failure_in_the_row() {
    let (volumes, start) = (Volumes::default(), Instant::now());
    let record = |result: Result<(), &Error>, after: u32| {
        volumes.record(&volume("shop", "web"), result, || false, start + after * SECOND)
    };
    assert_eq!(record(Ok(()), 0), VolumeChange::Mounted);
    assert_eq!(record(Err(&away()), 10), VolumeChange::Failed { was_mounted: true });
    let denied = Error::new(ErrorKind::Denied, "Vault denied the read");
    assert_eq!(record(Err(&denied), 20), VolumeChange::Failed { was_mounted: true });
    let failing = volumes.failing(start + 30 * SECOND);
    assert_eq!(failing.len(), 1);
    assert_eq!((&*failing[0].namespace, &*failing[0].pod, &*failing[0].class), ("shop", "web", "db"));
    assert_eq!((failing[0].failing_for, failing[0].good_before), (20 * SECOND, Some(30 * SECOND)));
    assert_eq!((failing[0].kind, &*failing[0].error), (ErrorKind::Denied, "Vault denied the read"));
    let nameless = PodVolume { class: String::new(), ..volume("shop", "web") };
    volumes.record(&nameless, Err(&denied), || false, start + 30 * SECOND);
    assert_eq!(&*volumes.failing(start + 30 * SECOND)[0].class, "db", "as driver 1.5 rotates");
    let recovered = VolumeChange::Recovered { failed_for: 30 * SECOND, was_mounted: true };
    assert_eq!(record(Ok(()), 40), recovered);
    assert_eq!(volumes.failing(start + 40 * SECOND), []);
    assert_eq!(record(Ok(()), 50), VolumeChange::Mounted);
}

#[test]
fn a_first_mount_that_fails_is_told_from_one_of_an_earlier_process() {
    let (volumes, now) = (Volumes::default(), Instant::now());
    let first = volumes.record(&volume("shop", "new"), Err(&away()), || false, now);
    assert_eq!(first, VolumeChange::Failed { was_mounted: false });
    let old = volumes.record(&volume("shop", "old"), Err(&away()), || true, now);
    assert_eq!(old, VolumeChange::Failed { was_mounted: true });
    let again = volumes.record(&volume("shop", "old"), Err(&away()), || false, now);
    assert_eq!(again, VolumeChange::Failed { was_mounted: true });
    let good: Vec<bool> = volumes.failing(now).iter().map(|volume| volume.good_before.is_some()).collect();
    assert_eq!(good, [false, true]);
}

#[test]
fn the_text_is_that_of_the_driver_and_bounded() {
    let (volumes, now) = (Volumes::default(), Instant::now());
    let long = Error::new(ErrorKind::NotFound, "é".repeat(4096)).with_detail("secret detail");
    let mut long_class = volume("shop", "web");
    long_class.class = "c".repeat(100_000);
    volumes.record(&long_class, Err(&long), || false, now);
    let failing = volumes.failing(now);
    assert!(failing[0].error.len() < 810 && failing[0].error.ends_with('…'), "{}", failing[0].error);
    assert!(failing[0].class.len() < 260);
    volumes.record(&volume("shop", "web"), Err(&away()), || false, now);
    assert_eq!(&*volumes.failing(now)[0].error, "Vault is sealed");
}

#[test]
fn volumes_of_pods_that_are_gone_are_forgotten() {
    let (volumes, start) = (Volumes::default(), Instant::now());
    let fail = |pod: &str, now| volumes.record(&volume("shop", pod), Err(&away()), || false, now);
    let pods =
        |now| -> Vec<String> { volumes.failing(now).iter().map(|volume| volume.pod.to_string()).collect() };
    volumes.note_pods(&listed(&["uid-of-shop-a", "uid-of-shop-b"], start), start);
    ["a", "b", "c"].into_iter().for_each(|pod| {
        fail(pod, start);
    });
    assert_eq!(pods(start), ["a", "b", "c"]);
    assert_eq!(pods(start + UNLISTED), ["a", "b"]);
    volumes.note_pods(&PodEvent::Gone("uid-of-shop-a".to_owned()), start);
    assert_eq!(pods(start + FORGOTTEN_FAILURE), ["b"]);
    volumes.note_pods(&PodEvent::Unwatchable(String::new()), start);
    assert_eq!(pods(start + FORGOTTEN_FAILURE - SECOND), ["b"]);
    assert!(pods(start + FORGOTTEN_FAILURE).is_empty());
}

#[test]
fn without_a_watch_a_good_volume_is_known_for_a_day() {
    let (volumes, start) = (Volumes::default(), Instant::now());
    for pod in ["a", "b"] {
        volumes.record(&volume("shop", pod), Ok(()), || false, start);
    }
    let fail = |pod, now| volumes.record(&volume("shop", pod), Err(&away()), || false, now);
    assert_eq!(fail("a", start + FORGOTTEN - SECOND), VolumeChange::Failed { was_mounted: true });
    assert_eq!(fail("b", start + FORGOTTEN), VolumeChange::Failed { was_mounted: false });
}

#[test]
fn a_namespace_with_many_volumes_takes_no_room_of_others() {
    let (volumes, now) = (Volumes::default(), Instant::now());
    let long = Error::new(ErrorKind::NotFound, "x".repeat(4096));
    for at in 0..1_000_u32 {
        volumes.record(&volume("big", &format!("pod-{at}")), Err(&long), || false, now + at * SECOND / 1000);
    }
    let failing = volumes.failing(now + 5 * SECOND);
    assert!((300..600).contains(&failing.len()), "{}", failing.len());
    assert!(failing.iter().any(|volume| &*volume.pod == "pod-999"), "the newest stays");
    assert!(volumes.shares.taken() <= MEMORY / 2 + 1);
    volumes.record(&volume("small", "web"), Err(&long), || false, now + 5 * SECOND);
    assert!(volumes.failing(now + 5 * SECOND).iter().any(|volume| &*volume.namespace == "small"));
}
