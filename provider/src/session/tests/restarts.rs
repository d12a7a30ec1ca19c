//! What is taken up after a restart.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::bed::{Bed, after_restart, answer, creds, issue, keeping_bed, lease, of_pod, serves};
use crate::attempt::Attempt;
use crate::keeping::StateStore;
use crate::plan::{Method, Request};
use crate::{Clock, Secret};

#[tokio::test]
async fn a_restart_takes_up_tokens_and_leases_with_the_time_that_passed() {
    let (bed, store) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(600), &bed.reading()).await;
    session.store_changes();
    bed.clock.advance(Duration::from_secs(300));

    let again = Bed { sessions: after_restart(&bed, &store), ..bed };
    let records = store.load();
    assert_eq!(records.len(), 1);
    let restored = again.sessions.restore(records[0].0.clone(), &records[0].1).expect("a session");
    assert!(!restored.ended && restored.issuing.is_empty());
    let session = again.sessions.session(of_pod(&again)).0;
    assert!(Arc::ptr_eq(&session, &restored.session));
    assert!(serves(&session, &creds("r"), &again.reading()));
    assert_eq!(session.token(&again.reading()).await.expect("a token").secret().expose(), b"t1");
    let due = session.next_renewal(Attempt::First).expect("a renewal") - again.clock.now();
    assert!(due <= Duration::from_secs(100), "{due:?}");
    again.clock.advance(Duration::from_secs(301));
    assert!(!serves(&session, &creds("r"), &again.reading()), "it ended when it would have");
}

#[tokio::test]
async fn a_certificate_outlives_its_token_and_brings_none_back() {
    let (bed, store) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let end = bed.clock.time_of_day().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 600;
    let body = format!(r#"{{"data":{{"certificate":"c","serial_number":"1","expiration":{end}}}}}"#);
    let request = Request { method: Method::Post, ..creds("issue") };
    issue(&session, &request, answer(&body), &bed.reading()).await;
    session.bury(&session.tokens()[0]);
    session.store_changes();

    let again = Bed { sessions: after_restart(&bed, &store), ..bed };
    let (name, record) = store.load().remove(0);
    let session = again.sessions.restore(name, &record).expect("a session").session;
    assert!(serves(&session, &request, &again.reading()));
    assert_eq!(session.token(&again.reading()).await.expect("a token").secret().expose(), b"t2");
}

#[tokio::test]
async fn a_restart_tells_what_was_being_asked_for_and_who_is_gone() {
    let (bed, store) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    session.token(&bed.reading()).await.expect("a token");
    let request = creds("r");
    let intent = session.intend(&request).expect("it may issue");
    let restored = |record: &(String, Secret)| {
        after_restart(&bed, &store).restore(record.0.clone(), &record.1).expect("a session")
    };
    assert_eq!(restored(&store.load()[0]).issuing, ["database/creds/r"]);
    drop(intent);
    session.mark_ended();
    assert!(restored(&store.load()[0]).ended && restored(&store.load()[0]).issuing.is_empty());
}

#[tokio::test]
async fn what_is_no_record_is_refused_without_a_word_of_it() {
    let (bed, store) = keeping_bed().await;
    let sessions = after_restart(&bed, &store);
    for record in ["", "{}", r#"{"key":"hunter2"}"#, "hunter2"] {
        let refused = sessions.restore("r".to_owned(), &Secret::from(record)).err().expect("a refusal");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
