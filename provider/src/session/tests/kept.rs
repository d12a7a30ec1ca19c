//! What is held between reads, renewed, and taken up after a restart.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use ::http::HeaderMap;

use super::Bed;
use crate::keeping::{Keeping, StateStore};
use crate::plan::{Method, Request};
use crate::session::{Reading, Session, SessionKey};
use crate::vault::{Answer, Share};
use crate::{Clock, Identity, Pod, Secret};

const MINUTE: Duration = Duration::from_secs(60);

/// A store that outlives the sessions, as a directory does.
#[derive(Default)]
struct Memory(Mutex<Vec<(String, Secret)>>);

impl StateStore for Memory {
    fn load(&self) -> Vec<(String, Secret)> {
        self.0.lock().expect("no holder panics").clone()
    }

    fn save(&self, name: &str, record: &Secret) -> Result<(), String> {
        self.remove(name);
        self.0.lock().expect("no holder panics").push((name.to_owned(), record.clone()));
        Ok(())
    }

    fn remove(&self, name: &str) {
        self.0.lock().expect("no holder panics").retain(|(other, _)| other != name);
    }
}

async fn keeping_bed() -> (Bed, Arc<Memory>) {
    let store = Arc::new(Memory::default());
    let keeping = Keeping::new(Arc::clone(&store) as Arc<dyn StateStore>);
    (Bed::keeping(10, Some(Arc::new(keeping))).await, store)
}

fn of_pod(bed: &Bed) -> SessionKey {
    let pod = Some(Pod { name: "p".into(), uid: "u".into() });
    SessionKey { identity: Identity { pod, ..bed.key("a").identity }, ..bed.key("a") }
}

fn creds(name: &str) -> Request {
    Request { method: Method::Get, path: format!("database/creds/{name}"), query: Vec::new(), body: None }
}

fn answer(body: &str) -> Answer {
    Answer::new(200, &HeaderMap::new(), Secret::from(body), Share::default(), &[]).expect("an answer")
}

fn lease(seconds: u64) -> Answer {
    answer(&format!(
        r#"{{"lease_id":"l","lease_duration":{seconds},"renewable":true,"data":{{"password":"hunter2"}}}}"#
    ))
}

/// Asks as a read does; the answer is what Vault is said to have issued.
async fn issue(session: &Session, request: &Request, issued: Answer, reading: &Reading<'_>) {
    let asked = session.now();
    let token = session.token(reading).await.expect("a token");
    let grant = issued.grant(request.issues());
    session.hold((issued, grant), (request, vec!["file".to_owned()]), &token, asked, reading);
}

fn serves(session: &Session, request: &Request, reading: &Reading<'_>) -> bool {
    session.held(request.id(), reading).is_some()
}

async fn renew(session: &Arc<Session>, bed: &Bed) {
    session.start_renewing().renew_due(&bed.reading().vault).await;
}

#[tokio::test]
async fn a_lease_is_held_while_it_is_renewed() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(60), &bed.reading()).await;
    for _ in 0..10 {
        bed.clock.advance(Duration::from_secs(41));
        assert!(session.next_renewal().is_some_and(|at| at <= bed.clock.now()));
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
async fn a_lease_that_vault_lost_is_forgotten() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(60), &bed.reading()).await;
    bed.clock.advance(Duration::from_secs(41));
    let told = |renewal, lookup| {
        bed.fake.renewal.store(renewal, std::sync::atomic::Ordering::Relaxed);
        bed.fake.lookup.store(lookup, std::sync::atomic::Ordering::Relaxed);
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
async fn a_token_that_vault_forgot_takes_its_leases_along() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(86_400), &bed.reading()).await;
    bed.clock.advance(Duration::from_secs(2401));
    bed.fake.renewal.store(403, std::sync::atomic::Ordering::Relaxed);
    bed.fake.lookup.store(403, std::sync::atomic::Ordering::Relaxed);
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
    let (one, two) = (bed.reading(), Reading { volume: 2, ..bed.reading() });
    issue(&session, &creds("r"), lease(60), &one).await;
    session.note_used(&[creds("r").id()], &one);
    session.note_used(&[creds("r").id()], &two);
    session.note_used(&[], &one);
    assert!(serves(&session, &creds("r"), &one), "the other volume has it");
    session.note_used(&[creds("s").id()], &two);
    assert!(!serves(&session, &creds("r"), &one));
}

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
    let due = session.next_renewal().expect("a renewal") - again.clock.now();
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
async fn a_denied_token_that_vault_forgot_takes_its_leases_along_however_old() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    issue(&session, &creds("r"), lease(86_400), &bed.reading()).await;
    let token = session.tokens().remove(0);
    token.note_issue();
    bed.clock.advance(MINUTE);
    bed.fake.lookup.store(403, std::sync::atomic::Ordering::Relaxed);
    let other = session.token_after_denial(&token, &bed.reading()).await.expect("no failure");
    assert!(other.is_some_and(|other| other.secret().expose() == b"t2"));
    assert!(!serves(&session, &creds("r"), &bed.reading()));
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
    intent.issued_nothing();
    drop(intent);
    session.mark_ended();
    assert!(restored(&store.load()[0]).ended && restored(&store.load()[0]).issuing.is_empty());
    assert!(session.intend(&request).is_none(), "known to issue nothing");
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

#[tokio::test]
async fn a_session_that_owns_something_leaves_last() {
    let (bed, _) = keeping_bed().await;
    let owner = bed.sessions.session(of_pod(&bed)).0;
    owner.token(&bed.reading()).await.expect("a token").note_issue();
    for name in 0..20 {
        bed.clock.advance(Duration::from_secs(1));
        bed.sessions.session(bed.key(&name.to_string()));
    }
    assert!(Arc::ptr_eq(&owner, &bed.sessions.session(of_pod(&bed)).0));
}

fn after_restart(bed: &Bed, store: &Arc<Memory>) -> crate::session::Sessions {
    let keeping = Keeping::new(Arc::clone(store) as Arc<dyn StateStore>);
    let clock = Arc::clone(&bed.clock) as Arc<dyn Clock>;
    crate::session::Sessions::new(10, clock, Some(Arc::new(keeping)))
}
