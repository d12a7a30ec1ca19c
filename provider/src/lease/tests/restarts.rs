//! Tests of records, and of sessions after a restart.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use coffer_vault::Secret;

use super::super::record::restore;
use super::{Bed, next_renewal};
use crate::Clock;
use crate::lease::{StateStore, StoredText};
use crate::session::tests::bed::{MemoryStore, answer, creds, issue_request, lease};
use crate::session::{Session, SessionState};

fn restored(bed: &Bed, store: &MemoryStore) -> Arc<Session> {
    let names = store.names();
    assert_eq!(names.len(), 1);
    let stored = store.load(&names[0]).expect("a record");
    restore(names[0].clone(), &stored, &bed.sessions, &*bed.clock).expect("a session")
}

fn stored(record: &str) -> StoredText {
    StoredText { record: Secret::from(record), journal: None }
}

#[tokio::test]
async fn a_restart_restores_tokens_and_leases_with_the_time_that_passed() {
    let (bed, store) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(600)).await;
    bed.leases.store().expect("a store").save(&session);
    drop(session);
    bed.clock.advance(Duration::from_secs(300));

    let bed = bed.restarted(&store);
    let before = restored(&bed, &store);
    assert_eq!(before.state(), SessionState::New);
    assert!(before.issued.in_progress().is_empty());
    let session = bed.pod_session();
    assert!(Arc::ptr_eq(&session, &before));
    assert!(bed.fetch(&session).holds(&creds("r")));
    assert_eq!(bed.token(&session).await.secret().expose(), b"t1");
    let due = next_renewal(&session, &bed).expect("a renewal") - bed.clock.now();
    assert!(due <= Duration::from_secs(100), "{due:?}");
    bed.clock.advance(Duration::from_secs(301));
    assert!(!bed.fetch(&session).holds(&creds("r")), "the end did not move");
}

#[tokio::test]
async fn a_certificate_is_restored_without_its_lost_token() {
    let (bed, store) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let end = bed.clock.time_of_day().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 600;
    let body = format!(r#"{{"data":{{"certificate":"c","serial_number":"1","expiration":{end}}}}}"#);
    bed.fetch(&session).answered(&issue_request(), answer(&body)).await;
    let token = bed.token(&session).await;
    session.logins.remove_gone(&token);
    bed.leases.store().expect("a store").save(&session);
    drop((token, session));

    let bed = bed.restarted(&store);
    let session = restored(&bed, &store);
    assert!(bed.fetch(&session).holds(&issue_request()));
    assert_eq!(bed.token(&session).await.secret().expose(), b"t2");
}

#[tokio::test]
async fn a_record_names_the_requests_in_progress_and_whether_the_pod_is_gone() {
    let (bed, store) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.token(&session).await;
    let leases = bed.leases.store().expect("a store");
    let load = || store.load(&store.names()[0]).expect("a record");
    let text = || String::from_utf8(load().record.into_bytes()).expect("UTF-8");
    let journal = || load().journal.expect("a journal").expose_str().expect("UTF-8").to_owned();
    let first = leases.begin(&session, "database/creds/r");
    let second = leases.begin(&session, "database/creds/s");
    assert!(text().contains(r#""issuing":[],"ended":false"#), "a request stores its own path alone");
    assert_eq!(journal(), "database/creds/r\ndatabase/creds/s");
    leases.save(&session);
    assert!(text().contains(r#""issuing":["database/creds/r","database/creds/s"]"#));
    drop((first, second));
    session.note_ended();
    leases.save(&session);
    assert!(text().contains(r#""issuing":[],"ended":true"#) && load().journal.is_none());
    drop(session);

    let bed = bed.restarted(&store);
    assert_eq!(restored(&bed, &store).state(), SessionState::Ended);
    assert_eq!((bed.sessions.all().len(), bed.sessions.ended().len()), (0, 1));
}

#[tokio::test]
async fn a_record_of_the_release_before_is_read() {
    let (bed, _) = Bed::with_leases(10).await;
    let record = r#"{"key":{"target":{"address":"http://127.0.0.1:1","tls":{"authorities":"System",
        "server_name":null,"client":null,"skip_verify":false}},"namespace":null,"auth_mount":"kubernetes",
        "role":"r","audience":null,"identity":{"namespace":"ns","service_account":"a",
        "pod":{"name":"p","uid":"u"}}},
        "tokens":[{"secret":"t1","since":86400000,"lifetime":{"granted":3600000,"whole":3600000,
        "until":90000000,"renewal":88000000},"owns":true}],
        "answers":[{"request":"00000000000000000000000000000000000000000000000000000000000000ff",
        "about":{"class":"c","objects":["file"],"path":"database/creds/r"},"body":"{\"data\":{}}",
        "term":{"lease":{"id":"l","lifetime":{"granted":60000,"whole":60000,"until":90000000,
        "renewal":null},"token":0}},"volumes":[7]}],
        "issuing":[],"ended":false}"#;
    let session = restore("r".to_owned(), &stored(record), &bed.sessions, &*bed.clock);
    let session = session.expect("a session");
    assert_eq!(session.issued.leases(bed.clock.now()), 1);
    assert!(session.logins.living(bed.clock.now())[0].owns_leases());
}

#[tokio::test]
async fn a_text_that_is_no_record_is_refused_and_not_repeated() {
    let (bed, _) = Bed::with_leases(10).await;
    for record in ["", "{}", r#"{"key":"hunter2"}"#, "hunter2"] {
        let refused = restore("r".to_owned(), &stored(record), &bed.sessions, &*bed.clock);
        let refused = refused.err().expect("a refusal").to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
