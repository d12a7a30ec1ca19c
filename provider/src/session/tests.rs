mod bed;
mod kept;
mod restarts;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bed::{Bed, MINUTE, keeping_bed, of_pod};

use super::SessionKey;
use crate::{Identity, Target, Tls};

#[tokio::test]
async fn a_token_is_kept_until_near_its_end() {
    let bed = Bed::new(10).await;
    let session = bed.sessions.session(bed.key("a")).0;
    let first = session.token(&bed.reading()).await.expect("a token");
    bed.clock.advance(Duration::from_secs(3500));
    assert!(Arc::ptr_eq(&first, &session.token(&bed.reading()).await.expect("a token")));
    bed.clock.advance(Duration::from_secs(41));
    assert_eq!(session.token(&bed.reading()).await.expect("a token").secret().expose(), b"t2");
    assert_eq!(bed.fake.counts(), (2, 0, 0));
}

#[tokio::test]
async fn many_at_once_make_one_login() {
    let bed = Bed::new(10).await;
    let session = bed.sessions.session(bed.key("a")).0;
    let reading = bed.reading();
    let tokens = futures_util::future::join_all((0..20).map(|_| session.token(&reading))).await;
    assert!(tokens.iter().all(|token| token.as_ref().is_ok_and(|token| token.secret().expose() == b"t1")));
    assert_eq!(bed.fake.counts().0, 1);
}

#[tokio::test]
async fn a_repeated_denial_logs_in_once_a_minute_and_revokes_what_it_replaces() {
    let bed = Bed::new(10).await;
    let session = bed.sessions.session(bed.key("a")).0;
    let reading = bed.reading();
    let first = session.token(&reading).await.expect("a token");
    assert!(
        session.token_after_denial(&first, &reading).await.expect("no failure").is_none(),
        "a login of this very read"
    );
    assert_eq!(bed.fake.counts(), (1, 0, 0));

    bed.clock.advance(Duration::from_secs(30));
    let reading = bed.reading();
    for _ in 0..3 {
        assert!(
            session.token_after_denial(&first, &reading).await.expect("no failure").is_none(),
            "alive and young"
        );
    }
    assert_eq!(bed.fake.counts(), (1, 1, 0), "one look a read");

    bed.clock.advance(Duration::from_secs(30));
    let second =
        session.token_after_denial(&first, &bed.reading()).await.expect("no failure").expect("a new token");
    assert_eq!((second.secret().expose(), bed.fake.counts()), (&b"t2"[..], (2, 1, 1)));
    assert!(
        session.token_after_denial(&first, &bed.reading()).await.expect("no failure").is_some(),
        "who still holds the old one gets the new one"
    );
    assert_eq!(bed.fake.counts(), (2, 1, 1));
}

#[tokio::test]
async fn a_dead_token_is_replaced_at_once() {
    let bed = Bed::new(10).await;
    let session = bed.sessions.session(bed.key("a")).0;
    let first = session.token(&bed.reading()).await.expect("a token");
    bed.clock.advance(Duration::from_secs(1));
    bed.fake.lookup.store(403, Ordering::Relaxed);
    let second = session.token_after_denial(&first, &bed.reading()).await.expect("no failure");
    assert_eq!(second.expect("a new token").secret().expose(), b"t2");
    assert_eq!(bed.fake.counts(), (2, 1, 0));
}

#[tokio::test]
async fn a_token_that_owns_leases_is_replaced_and_not_revoked() {
    let bed = Bed::new(10).await;
    let session = bed.sessions.session(bed.key("a")).0;
    let first = session.token(&bed.reading()).await.expect("a token");
    first.note_issue();
    bed.clock.advance(Duration::from_secs(60));
    assert!(session.token_after_denial(&first, &bed.reading()).await.expect("no failure").is_some());
    assert_eq!(bed.fake.counts(), (2, 0, 0));
}

#[tokio::test]
async fn what_expired_leaves_first_then_what_was_used_longest_ago() {
    let bed = Bed::new(2).await;
    let kept = |name: &str| bed.sessions.session(bed.key(name)).0;
    kept("old").token(&bed.reading()).await.expect("a token");
    bed.clock.advance(Duration::from_secs(3000));
    kept("other").token(&bed.reading()).await.expect("a token");
    let other = Arc::downgrade(&kept("other"));
    bed.clock.advance(Duration::from_secs(1000));
    kept("old");
    // "old" was used last, but its token is over
    kept("new");
    assert!(other.strong_count() > 0);
    bed.clock.advance(Duration::from_secs(1));
    kept("new");
    kept("newest");
    assert!(other.strong_count() == 0, "used longest ago");
}

#[tokio::test]
async fn a_session_in_use_stays_and_room_is_made_when_it_is_not() {
    let bed = Bed::new(1).await;
    let used: Vec<_> = ["a", "b", "c"].map(|name| bed.sessions.session(bed.key(name)).0).into();
    assert_eq!(bed.sessions.all().len(), 3);
    drop(used);
    bed.sessions.session(bed.key("d"));
    assert_eq!(bed.sessions.all().len(), 1);
}

#[tokio::test]
async fn sessions_differ_by_every_field_of_their_key() {
    let bed = Bed::new(100).await;
    let session = bed.sessions.session(bed.key("a")).0;
    let mut keys = vec![bed.key("b")];
    keys.push(SessionKey { namespace: Some("n".into()), ..bed.key("a") });
    keys.push(SessionKey { auth_mount: "m".into(), ..bed.key("a") });
    keys.push(SessionKey { role: "q".into(), ..bed.key("a") });
    keys.push(SessionKey { audience: Some("vault".into()), ..bed.key("a") });
    let pod = |uid: &str| Some(crate::Pod { name: "p".into(), uid: uid.into() });
    for uid in ["1", "2"] {
        keys.push(SessionKey {
            identity: Identity { pod: pod(uid), ..bed.key("a").identity },
            ..bed.key("a")
        });
    }
    let tls = Tls { skip_verify: true, ..Tls::default() };
    keys.push(SessionKey { target: Target { tls, ..bed.target.clone() }, ..bed.key("a") });
    for (n, key) in keys.into_iter().enumerate() {
        let (other, known) = bed.sessions.session(key);
        assert!(!Arc::ptr_eq(&session, &other));
        assert_eq!(known, n + 2);
    }
}

#[tokio::test]
async fn a_replaced_token_that_someone_uses_stays_to_be_revoked() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let first = session.token(&bed.reading()).await.expect("a token");
    let in_use = Arc::clone(&first);
    bed.clock.advance(MINUTE);
    assert!(session.token_after_denial(&first, &bed.reading()).await.expect("no failure").is_some());
    assert!(session.tokens().iter().any(|token| Arc::ptr_eq(token, &first)));
    assert_eq!(bed.fake.counts().2, 0, "nor is it revoked under who uses it");
    drop(in_use);
    assert!(session.token_after_denial(&first, &bed.reading()).await.expect("no failure").is_some());
    assert!(!session.tokens().iter().any(|token| Arc::ptr_eq(token, &first)));
    assert_eq!(bed.fake.counts().2, 1, "its last user does that");
}

#[tokio::test]
async fn a_login_that_fails_serves_all_who_wait() {
    let bed = Bed::new(10).await;
    bed.fake.login.store(400, Ordering::Relaxed);
    let session = bed.sessions.session(bed.key("a")).0;
    let reading = bed.reading();
    for _ in 0..3 {
        assert!(session.token(&reading).await.is_err());
    }
    assert_eq!(bed.fake.counts().0, 1);
    bed.clock.advance(Duration::from_secs(1));
    bed.fake.login.store(200, Ordering::Relaxed);
    assert!(session.token(&bed.reading()).await.is_ok(), "the next read tries again");
}

#[tokio::test]
async fn a_403_that_is_not_vaults_word_on_the_token_takes_nothing() {
    let (bed, _) = keeping_bed().await;
    let session = bed.sessions.session(of_pod(&bed)).0;
    let token = session.token(&bed.reading()).await.expect("a token");
    bed.clock.advance(Duration::from_secs(1));
    bed.fake.words.store(false, Ordering::Relaxed);
    bed.fake.lookup.store(403, Ordering::Relaxed);
    assert!(session.token_after_denial(&token, &bed.reading()).await.expect("no failure").is_none());
    assert_eq!(session.tokens().len(), 1);
}
