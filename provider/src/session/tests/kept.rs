//! What is held between reads, and renewed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::sleep;

use super::bed::{
    Bed, MINUTE, Memory, answer, creds, issue, keeping_bed, lease, lease_called, of_pod, of_pod_as, renew,
    serves,
};
use crate::Clock;
use crate::attempt::Attempt;
use crate::keeping::{Keeping, StateStore};
use crate::plan::{Method, Request};
use crate::session::{Reading, SessionKey};

#[tokio::test]
async fn a_lease_is_held_while_it_is_renewed() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(60), &bed.reading()).await;
    for _ in 0..10 {
        bed.clock.advance(Duration::from_secs(41));
        assert!(session.next_renewal(Attempt::First).is_some_and(|at| at <= bed.clock.now()));
        renew(&session, &bed).await;
        assert!(serves(&session, &creds("r"), &bed.reading()));
    }
    bed.clock.advance(MINUTE);
    assert!(!serves(&session, &creds("r"), &bed.reading()), "nobody renewed it");
    assert!(!serves(&session, &creds("other"), &bed.reading()));
}

#[tokio::test]
async fn nothing_is_held_where_nobody_tells_of_the_pods_end() {
    let (bed, _) = keeping_bed().await;
    let without_pod = bed.sessions.session(bed.key("a")).0;
    issue(&without_pod, &creds("r"), lease(60), &bed.reading()).await;
    assert!(!serves(&without_pod, &creds("r"), &bed.reading()));

    let plain = Bed::new(10).await;
    let session = plain.sessions.session(of_pod(&plain)).0;
    issue(&session, &creds("r"), lease(60), &plain.reading()).await;
    assert!(!serves(&session, &creds("r"), &plain.reading()));
}

#[tokio::test]
async fn a_duration_without_a_lease_is_none() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let kv_v1 = answer(r#"{"lease_id":"","lease_duration":2764800,"data":{"k":"v"}}"#);
    issue(&session, &creds("r"), kv_v1, &bed.reading()).await;
    assert!(!serves(&session, &creds("r"), &bed.reading()));
}

#[tokio::test]
async fn what_was_read_serves_for_the_interval_of_the_class() {
    let bed = Bed::new(10).await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let reading = Reading { refresh_interval: MINUTE, ..bed.reading() };
    issue(&session, &creds("r"), answer(r#"{"data":{"k":"v"}}"#), &reading).await;
    bed.clock.advance(Duration::from_secs(59));
    assert!(serves(&session, &creds("r"), &reading));
    assert!(!serves(&session, &creds("r"), &bed.reading()), "another class wants it fresh");
    bed.clock.advance(Duration::from_secs(1));
    assert!(!serves(&session, &creds("r"), &reading));
}

#[tokio::test]
async fn what_was_read_takes_no_room_from_what_was_issued() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let reading = Reading { refresh_interval: MINUTE, ..bed.reading() };
    for size in [1 << 20, 1] {
        let value = "v".repeat(size);
        for n in 0.. {
            let request = creds(&format!("{size}-{n}"));
            issue(&session, &request, answer(&format!(r#"{{"data":{{"k":"{value}"}}}}"#)), &reading).await;
            if !serves(&session, &request, &reading) {
                break;
            }
        }
    }
    issue(&session, &creds("r"), lease(60), &reading).await;
    assert!(serves(&session, &creds("r"), &reading));
}

#[tokio::test]
async fn a_lease_that_vault_lost_is_forgotten() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(60), &bed.reading()).await;
    bed.clock.advance(Duration::from_secs(41));
    let told = |renewal, lookup| {
        bed.fake.renewal.store(renewal, Ordering::Relaxed);
        bed.fake.lookup.store(lookup, Ordering::Relaxed);
    };
    told(500, 200);
    renew(&session, &bed).await;
    assert!(serves(&session, &creds("r"), &bed.reading()), "Vault may be back in time");
    bed.clock.advance(Duration::from_secs(6));
    told(400, 200);
    renew(&session, &bed).await;
    assert!(session.stopgap(creds("r").id()).is_some(), "Vault knows it yet, should it not issue another");
    assert!(!serves(&session, &creds("r"), &bed.reading()), "the next mount asks for another");
    bed.clock.advance(Duration::from_secs(4));
    told(400, 400);
    renew(&session, &bed).await;
    assert!(session.stopgap(creds("r").id()).is_none());
    assert!(!serves(&session, &creds("r"), &bed.reading()));
}

#[tokio::test]
async fn a_renewal_that_hangs_holds_up_no_other() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("slow"), lease_called("slow", 60), &bed.reading()).await;
    issue(&session, &creds("r"), lease(60), &bed.reading()).await;
    bed.clock.advance(Duration::from_secs(41));
    bed.fake.hangs.store(true, Ordering::Relaxed);
    let renewing = session.start_renewing(Attempt::First);
    let reading = bed.reading();
    tokio::select! {
        () = renewing.renew_due(&reading.vault) => panic!("it hangs"),
        () = async { while bed.fake.renewals() == 0 { sleep(Duration::from_millis(5)).await; } } => {}
    }
}

#[tokio::test]
async fn what_failed_before_holds_up_nothing_that_did_not() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(60), &bed.reading()).await;
    bed.clock.advance(Duration::from_secs(41));
    bed.fake.renewal.store(500, Ordering::Relaxed);
    renew(&session, &bed).await;
    let tried_again = session.next_renewal(Attempt::Again).expect("another try");
    assert!(tried_again > bed.clock.now());
    let others = session.next_renewal(Attempt::First).expect("the token's");
    assert!(others > tried_again);
    issue(&session, &creds("s"), lease(60), &bed.reading()).await;
    let _again = session.start_renewing(Attempt::Again);
    assert_eq!(session.next_renewal(Attempt::Again), None, "it is being made");
    assert!(session.next_renewal(Attempt::First).is_some_and(|at| at < others));
}

#[tokio::test]
async fn a_token_that_vault_forgot_takes_its_leases_along() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(86_400), &bed.reading()).await;
    bed.clock.advance(Duration::from_secs(2401));
    bed.fake.renewal.store(403, Ordering::Relaxed);
    bed.fake.lookup.store(403, Ordering::Relaxed);
    renew(&session, &bed).await;
    assert!(!serves(&session, &creds("r"), &bed.reading()));
    assert_eq!(session.token(&bed.reading()).await.expect("a token").secret().expose(), b"t2");
}

#[tokio::test]
async fn a_certificate_serves_for_two_thirds_whatever_the_clock_says_since() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let now = bed.clock.time_of_day();
    let end = now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 600;
    let body =
        format!(r#"{{"lease_id":"","data":{{"certificate":"c","serial_number":"1","expiration":{end}}}}}"#);
    let request = Request { method: Method::Post, ..creds("issue") };
    issue(&session, &request, answer(&body), &bed.reading()).await;
    for step in [now + Duration::from_secs(3600), now - Duration::from_secs(3600)] {
        bed.clock.step(step);
        assert!(serves(&session, &request, &bed.reading()));
    }
    bed.clock.advance(Duration::from_secs(398));
    assert!(serves(&session, &request, &bed.reading()));
    bed.clock.advance(Duration::from_secs(3));
    assert!(!serves(&session, &request, &bed.reading()));
    assert!(session.stopgap(request.id()).is_some(), "should Vault not issue another");
    bed.clock.advance(Duration::from_secs(200));
    assert!(session.stopgap(request.id()).is_none());
}

#[tokio::test]
async fn what_no_volume_needs_any_more_is_forgotten() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let reading = bed.reading();
    issue(&session, &creds("r"), lease(60), &reading).await;
    session.note_mount(reading.volume, &[creds("r").id()]);
    session.note_mount(2, &[creds("r").id()]);
    // a successor that the first volume had issued is the second one's too
    issue(&session, &creds("r"), lease(60), &reading).await;
    session.note_mount(reading.volume, &[]);
    assert!(serves(&session, &creds("r"), &reading), "the other volume has it");
    session.note_mount(2, &[creds("s").id()]);
    assert!(!serves(&session, &creds("r"), &reading));
}

#[tokio::test]
async fn a_denied_token_that_vault_forgot_takes_its_leases_along_however_old() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(86_400), &bed.reading()).await;
    let token = session.tokens().remove(0);
    token.note_issue();
    bed.clock.advance(MINUTE);
    bed.fake.lookup.store(403, Ordering::Relaxed);
    let other = session.token_after_denial(&token, &bed.reading()).await.expect("no failure");
    assert!(other.is_some_and(|other| other.secret().expose() == b"t2"));
    assert!(!serves(&session, &creds("r"), &bed.reading()));
}

#[tokio::test]
async fn what_a_pod_lives_on_never_leaves_for_want_of_room() {
    let store = Arc::new(Memory::default());
    let keeping = Arc::new(Keeping::new(Arc::clone(&store) as Arc<dyn StateStore>));
    let bed = Bed::keeping(1, Some(Arc::clone(&keeping))).await;
    let owners: Vec<_> = ["a", "b", "c"].map(|name| of_pod_as(&bed, name)).into();
    for owner in &owners {
        bed.clock.advance(Duration::from_secs(1));
        let session = bed.sessions.session(owner.clone()).0;
        issue(&session, &creds("r"), lease(3600), &bed.reading()).await;
        session.store();
    }
    bed.sessions.session(bed.key("d"));
    for owner in &owners {
        assert!(serves(&bed.sessions.session(owner.clone()).0, &creds("r"), &bed.reading()));
    }
    // not even while nobody tells of the pods' ends, until it ends by itself
    keeping.switch(false);
    bed.sessions.session(bed.key("e"));
    assert_eq!(store.load().len(), owners.len());
    bed.clock.advance(Duration::from_secs(3600));
    bed.sessions.session(bed.key("f"));
    assert_eq!((bed.sessions.all().len(), store.load().len()), (1, 0));
}

#[tokio::test]
async fn a_path_that_issued_nothing_may_come_to_issue() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let may_issue = || session.intend(&creds("r")).is_some();
    assert!(may_issue(), "nobody knows yet");
    session.note_grant(&creds("r"), &answer(r#"{"data":{"k":"v"}}"#).grant(false));
    assert!(!may_issue());
    session.note_grant(&creds("r"), &lease(60).grant(false));
    assert!(may_issue());
}

#[tokio::test]
async fn a_token_near_its_end_reads_and_has_nothing_issued_to_it() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let first = session.token(&bed.reading()).await.expect("a token");
    session.note_mount(0, &[]);
    bed.fake.renewal.store(400, Ordering::Relaxed);
    bed.clock.advance(Duration::from_secs(2500));
    renew(&session, &bed).await;
    let reading = bed.reading();
    session.note_grant(&creds("kv"), &answer(r#"{"data":{"k":"v"}}"#).grant(false));
    let token = session.token_for(&creds("kv"), &reading).await.expect("a token");
    assert!(Arc::ptr_eq(&token, &first));
    let token = session.token_for(&creds("r"), &reading).await.expect("a token");
    assert!(!Arc::ptr_eq(&token, &first));
}

#[tokio::test]
async fn a_mount_that_reads_through_another_session_leaves_what_it_had_to_its_end() {
    let (bed, _) = keeping_bed().await;
    let key = of_pod(&bed);
    let before = bed.sessions.session(key.clone()).0;
    issue(&before, &creds("r"), lease(60), &bed.reading()).await;
    assert!(before.note_mount(0, &[creds("r").id()]));
    assert!(!before.note_mount(0, &[creds("r").id()]));
    assert!(before.next_renewal(Attempt::First).is_some());

    let now = bed.sessions.session(SessionKey { role: "another".to_owned(), ..key }).0;
    assert!(now.note_mount(0, &[]));
    bed.sessions.leave_others(&now, 0);
    assert_eq!(before.next_renewal(Attempt::First), None, "neither lease nor token");
    assert_eq!(before.tokens().len(), 1, "to be revoked with the pod");
}

#[tokio::test]
async fn a_token_that_no_mount_needs_is_not_renewed() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    session.token(&bed.reading()).await.expect("a token");
    assert_eq!(session.next_renewal(Attempt::First), None);
    session.note_mount(0, &[]);
    assert!(session.next_renewal(Attempt::First).is_some());
}
