//! Tests of answers that are held between reads, and of their renewal.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use coffer_shares::Priority;
use tokio::time::sleep;

use super::super::renew::renew;
use super::super::schedule::Schedule;
use super::{background, next_renewal, renew_due};
use crate::Clock;
use crate::fetch::Fetch;
use crate::lease::StateStore;
use crate::lifetime::Attempt;
use crate::session::SessionKey;
use crate::session::tests::bed::{
    Bed, MINUTE, answer, creds, issue_request, lease, lease_called, of_pod, of_pod_as,
};

#[tokio::test]
async fn a_lease_is_held_while_it_is_renewed() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    for _ in 0..10 {
        bed.clock.advance(Duration::from_secs(41));
        assert!(next_renewal(&session, &bed).is_some_and(|at| at <= bed.clock.now()));
        renew_due(&session, &bed).await;
        assert!(bed.fetch(&session).holds(&creds("r")));
    }
    bed.clock.advance(MINUTE);
    assert!(!bed.fetch(&session).holds(&creds("r")), "the lease was not renewed");
    assert!(!bed.fetch(&session).holds(&creds("other")));
}

#[tokio::test]
async fn no_lease_is_held_without_a_pod_or_without_a_lease_manager() {
    let (bed, _) = Bed::with_leases(10).await;
    let without_pod = bed.session(bed.key("a"));
    bed.fetch(&without_pod).answered(&creds("r"), lease(60)).await;
    assert!(!bed.fetch(&without_pod).holds(&creds("r")));

    let plain = Bed::new(10).await;
    let session = plain.pod_session();
    plain.fetch(&session).answered(&creds("r"), lease(60)).await;
    assert!(!plain.fetch(&session).holds(&creds("r")));
}

#[tokio::test]
async fn an_answer_with_a_lease_duration_but_no_lease_id_is_not_held() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let kv_v1 = answer(r#"{"lease_id":"","lease_duration":2764800,"data":{"k":"v"}}"#);
    bed.fetch(&session).answered(&creds("r"), kv_v1).await;
    assert!(!bed.fetch(&session).holds(&creds("r")));
}

#[tokio::test]
async fn a_read_is_cached_for_the_interval_of_the_class() {
    let bed = Bed::new(10).await;
    let session = bed.pod_session();
    let read = || Fetch { refresh_interval: MINUTE, ..bed.fetch(&session) };
    read().answered(&creds("r"), answer(r#"{"data":{"k":"v"}}"#)).await;
    bed.clock.advance(Duration::from_secs(59));
    assert!(read().holds(&creds("r")));
    assert!(!bed.fetch(&session).holds(&creds("r")), "another class has no refresh interval");
    bed.clock.advance(Duration::from_secs(1));
    assert!(!read().holds(&creds("r")));
}

#[tokio::test]
async fn cached_reads_take_no_bytes_from_issued_answers() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let read = Fetch { refresh_interval: MINUTE, ..bed.fetch(&session) };
    for size in [1 << 20, 1] {
        let value = "v".repeat(size);
        for n in 0.. {
            let request = creds(&format!("{size}-{n}"));
            read.answered(&request, answer(&format!(r#"{{"data":{{"k":"{value}"}}}}"#))).await;
            if !read.holds(&request) {
                break;
            }
        }
    }
    read.answered(&creds("r"), lease(60)).await;
    assert!(read.holds(&creds("r")));
}

#[tokio::test]
async fn a_lease_that_vault_lost_is_dropped() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    bed.clock.advance(Duration::from_secs(41));
    let vault_answers = |renewal, lookup| {
        bed.fake.renewal.store(renewal, Ordering::Relaxed);
        bed.fake.lookup.store(lookup, Ordering::Relaxed);
    };
    vault_answers(500, 200);
    renew_due(&session, &bed).await;
    assert!(bed.fetch(&session).holds(&creds("r")), "a renewal may still succeed");
    bed.clock.advance(Duration::from_secs(6));
    vault_answers(400, 200);
    renew_due(&session, &bed).await;
    assert!(bed.fetch(&session).has_fallback(&creds("r")), "Vault still knows the lease");
    assert!(!bed.fetch(&session).holds(&creds("r")), "the next mount asks for a replacement");
    bed.clock.advance(Duration::from_secs(4));
    vault_answers(400, 400);
    renew_due(&session, &bed).await;
    assert!(!bed.fetch(&session).has_fallback(&creds("r")));
    assert!(!bed.fetch(&session).holds(&creds("r")));
}

#[tokio::test]
async fn a_mount_renews_a_lease_that_it_would_replace() {
    // Vault refuses with 403 for good, and with 400 until the next try
    for (status, tries) in [(400, 3), (403, 1)] {
        let (bed, _) = Bed::with_leases(10).await;
        let session = bed.pod_session();
        let read = bed.fetch(&session);
        read.answered(&creds("r"), lease(60)).await;
        bed.clock.advance(Duration::from_secs(50));
        assert!(read.is_renewed_first(&creds("r")).await, "no replacement is due");
        assert_eq!(bed.fake.renewals(), 0);
        bed.fake.renewal.store(status, Ordering::Relaxed);
        renew_due(&session, &bed).await;
        assert!(!read.holds(&creds("r")));
        assert!(!read.is_renewed_first(&creds("r")).await, "Vault refuses still");
        assert_eq!(bed.fake.renewals(), 1 + tries);
        bed.fake.renewal.store(200, Ordering::Relaxed);
        bed.fake.granted.store(10, Ordering::Relaxed);
        assert!(!read.is_renewed_first(&creds("r")).await, "the end stays near");
        bed.fake.granted.store(60, Ordering::Relaxed);
        assert!(read.is_renewed_first(&creds("r")).await);
        assert!(session.changes.are_pending());
        bed.clock.advance(Duration::from_secs(39));
        assert!(read.holds(&creds("r")));
    }
}

#[tokio::test]
async fn a_mount_renews_a_token_that_it_would_replace() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let read = bed.fetch(&session);
    let first = bed.token(&session).await;
    session.note_mount(0, &[]);
    read.answered(&creds("r"), lease(86_400)).await;
    bed.fake.renewal.store(400, Ordering::Relaxed);
    bed.clock.advance(Duration::from_secs(2500));
    renew_due(&session, &bed).await;
    assert!(!read.holds(&creds("r")), "the lease would end with its token");
    assert!(!read.is_renewed_first(&creds("r")).await, "Vault refuses still");
    bed.fake.renewal.store(200, Ordering::Relaxed);
    assert!(read.is_renewed_first(&creds("r")).await);
    assert!(Arc::ptr_eq(&*read.token_for(&creds("r")).await, &first));
    bed.clock.advance(Duration::from_secs(2500));
    assert!(Schedule::of(&session, bed.clock.now()).due.iter().any(|due| due.attempt == Attempt::First));
}

#[tokio::test]
async fn a_renewal_that_hangs_delays_no_other_renewal() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("slow"), lease_called("slow", 60)).await;
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    bed.clock.advance(Duration::from_secs(41));
    bed.fake.hangs.store(true, Ordering::Relaxed);
    tokio::select! {
        () = renew_due(&session, &bed) => panic!("the renewal does not hang"),
        () = async { while bed.fake.renewals() == 0 { sleep(Duration::from_millis(5)).await; } } => {}
    }
}

#[tokio::test]
async fn a_renewal_in_progress_is_not_made_twice_and_delays_no_other_renewal() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    bed.clock.advance(Duration::from_secs(41));
    bed.fake.renewal.store(500, Ordering::Relaxed);
    renew_due(&session, &bed).await;
    let retry = next_renewal(&session, &bed).expect("a retry");
    assert!(retry > bed.clock.now());
    bed.clock.advance(Duration::from_secs(6));
    let in_progress = Schedule::of(&session, bed.clock.now()).due;
    assert_eq!(in_progress.len(), 1);
    assert!(Schedule::of(&session, bed.clock.now()).due.is_empty(), "the renewal is in progress");
    bed.fetch(&session).answered(&creds("s"), lease(9)).await;
    bed.clock.advance(Duration::from_secs(7));
    let others = Schedule::of(&session, bed.clock.now()).due;
    assert_eq!(others.len(), 1);
    bed.fake.renewal.store(200, Ordering::Relaxed);
    let before = bed.fake.renewals();
    renew(background(&bed), Arc::clone(&session), others).await;
    assert_eq!(bed.fake.renewals(), before + 1);
    drop(in_progress);
    assert_eq!(Schedule::of(&session, bed.clock.now()).due.len(), 1, "a released claim is due again");
}

#[tokio::test]
async fn a_retry_that_waits_delays_no_first_try() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(90)).await;
    session.note_mount(0, &[creds("r").id()]);
    let token = bed.token(&session).await;
    token.change_lifetime(|lifetime| lifetime.retry_later(bed.clock.now()));
    // the retry comes within 60 s, the lease's first renewal between 54 and 60 s
    bed.clock.advance(Duration::from_secs(61));
    let due = Schedule::of(&session, bed.clock.now()).due;
    let mut attempts: Vec<_> = due.iter().map(|renewal| renewal.attempt).collect();
    attempts.sort_by_key(|attempt| *attempt == Attempt::Retry);
    assert_eq!(attempts, [Attempt::First, Attempt::Retry]);
    let limits = Arc::clone(&bed.handle.limits);
    let _all = limits.retries.take("ns", 8, Priority::Reserved).await.expect("every turn of the retries");
    tokio::select! {
        () = renew(background(&bed), Arc::clone(&session), due) => panic!("the retry has no turn"),
        () = async { while bed.fake.renewals() == 0 { sleep(Duration::from_millis(5)).await; } } => {}
    }
}

#[tokio::test]
async fn leases_are_dropped_if_vault_does_not_know_their_token_at_a_renewal() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(86_400)).await;
    bed.clock.advance(Duration::from_secs(2401));
    bed.fake.renewal.store(403, Ordering::Relaxed);
    bed.fake.lookup.store(403, Ordering::Relaxed);
    renew_due(&session, &bed).await;
    assert!(!bed.fetch(&session).holds(&creds("r")));
    assert_eq!(bed.token(&session).await.secret().expose(), b"t2");
}

#[tokio::test]
async fn a_certificate_is_held_for_two_thirds_of_its_life_even_if_the_clock_steps() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let now = bed.clock.time_of_day();
    let end = now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 600;
    let body =
        format!(r#"{{"lease_id":"","data":{{"certificate":"c","serial_number":"1","expiration":{end}}}}}"#);
    let request = issue_request();
    bed.fetch(&session).answered(&request, answer(&body)).await;
    for step in [now + Duration::from_secs(3600), now - Duration::from_secs(3600)] {
        bed.clock.step(step);
        assert!(bed.fetch(&session).holds(&request));
    }
    bed.clock.advance(Duration::from_secs(398));
    assert!(bed.fetch(&session).holds(&request));
    bed.clock.advance(Duration::from_secs(3));
    assert!(!bed.fetch(&session).holds(&request));
    assert!(bed.fetch(&session).has_fallback(&request), "the certificate is still valid");
    bed.clock.advance(Duration::from_secs(200));
    assert!(!bed.fetch(&session).has_fallback(&request));
}

#[tokio::test]
async fn an_answer_that_no_volume_uses_is_dropped() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let read = bed.fetch(&session);
    read.answered(&creds("r"), lease(60)).await;
    session.note_mount(read.volume, &[creds("r").id()]);
    session.note_mount(2, &[creds("r").id()]);
    // a replacement that was issued for the first volume is also used by the second one
    read.answered(&creds("r"), lease(60)).await;
    session.note_mount(read.volume, &[]);
    assert!(read.holds(&creds("r")), "the other volume uses the answer");
    session.note_mount(2, &[creds("s").id()]);
    assert!(!read.holds(&creds("r")));
}

#[tokio::test]
async fn leases_are_dropped_if_vault_does_not_know_their_token_at_a_denial() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(86_400)).await;
    let token = bed.token(&session).await;
    token.note_lease();
    bed.clock.advance(MINUTE);
    bed.fake.lookup.store(403, Ordering::Relaxed);
    let other = bed.fetch(&session).after_denial(&token).await;
    assert!(other.is_some_and(|other| other.secret().expose() == b"t2"));
    assert!(!bed.fetch(&session).holds(&creds("r")));
}

#[tokio::test]
async fn sessions_of_pods_with_leases_are_never_evicted() {
    let (bed, store) = Bed::with_leases(1).await;
    let owners: Vec<_> = ["a", "b", "c"].map(|name| of_pod_as(&bed, name)).into();
    for owner in &owners {
        bed.clock.advance(Duration::from_secs(1));
        let session = bed.session(owner.clone());
        bed.fetch(&session).answered(&creds("r"), lease(3600)).await;
        bed.leases.store().expect("a store").save(&session);
    }
    bed.session(bed.key("d"));
    for owner in &owners {
        assert!(bed.fetch(&bed.session(owner.clone())).holds(&creds("r")));
    }
    // not even while the pod watch does not work, until the lease has ended
    bed.leases.switch(false);
    bed.session(bed.key("e"));
    assert_eq!(store.names().len(), owners.len());
    bed.clock.advance(Duration::from_secs(3600));
    bed.session(bed.key("f"));
    assert_eq!((bed.sessions.all().len(), store.names().len()), (1, 0));
}

#[tokio::test]
async fn a_lease_free_path_counts_as_issuing_after_it_issued_something() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let read = bed.fetch(&session);
    assert!(read.may_issue(&creds("r")), "the path is not known yet");
    read.note_grant(&creds("r"), &answer(r#"{"data":{"k":"v"}}"#).grant(false));
    assert!(!read.may_issue(&creds("r")));
    read.note_grant(&creds("r"), &lease(60).grant(false));
    assert!(read.may_issue(&creds("r")));
}

#[tokio::test]
async fn a_token_near_its_end_is_used_for_reads_and_not_for_issuing() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let first = bed.token(&session).await;
    session.note_mount(0, &[]);
    bed.fake.renewal.store(400, Ordering::Relaxed);
    bed.clock.advance(Duration::from_secs(2500));
    renew_due(&session, &bed).await;
    let read = bed.fetch(&session);
    read.note_grant(&creds("kv"), &answer(r#"{"data":{"k":"v"}}"#).grant(false));
    assert!(Arc::ptr_eq(&*read.token_for(&creds("kv")).await, &first));
    assert!(!Arc::ptr_eq(&*read.token_for(&creds("r")).await, &first));
}

#[tokio::test]
async fn leases_are_not_renewed_after_their_volume_uses_another_session() {
    let (bed, _) = Bed::with_leases(10).await;
    let key = of_pod(&bed);
    let before = bed.session(key.clone());
    bed.fetch(&before).answered(&creds("r"), lease(60)).await;
    assert!(before.note_mount(0, &[creds("r").id()]));
    assert!(!before.note_mount(0, &[creds("r").id()]));
    assert!(next_renewal(&before, &bed).is_some());

    let now = bed.session(SessionKey { role: "another".to_owned(), ..key });
    assert!(now.note_mount(0, &[]));
    bed.sessions.remove_volume_from_others(&now, 0);
    assert_eq!(next_renewal(&before, &bed), None, "neither the lease nor the token is renewed");
    assert_eq!(before.logins.living(bed.clock.now()).len(), 1, "the token is revoked when the pod is gone");
}

#[tokio::test]
async fn a_token_that_no_mount_needs_is_not_renewed() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.token(&session).await;
    assert_eq!(next_renewal(&session, &bed), None);
    session.note_mount(0, &[]);
    assert!(next_renewal(&session, &bed).is_some());
}
