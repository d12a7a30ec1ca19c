pub(crate) mod bed;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bed::{Bed, MINUTE};
use coffer_vault::{Target, Tls};

use super::{SessionKey, Sessions, TokenNeed};
use crate::memory::MemoryAccount;
use crate::{Clock, ErrorKind, Identity, Pod};

#[tokio::test]
async fn a_token_is_reused_until_near_its_end() {
    let bed = Bed::new(10).await;
    let session = bed.session(bed.key("a"));
    let first = bed.token(&session).await;
    bed.clock.advance(Duration::from_secs(3500));
    assert!(Arc::ptr_eq(&first, &*bed.token(&session).await));
    bed.clock.advance(Duration::from_secs(41));
    assert_eq!(bed.token(&session).await.secret().expose(), b"t2");
    assert_eq!(bed.fake.counts(), (2, 0, 0));
}

#[tokio::test]
async fn concurrent_reads_share_one_login() {
    let bed = Bed::new(10).await;
    let session = bed.session(bed.key("a"));
    let tokens = futures_util::future::join_all((0..20).map(|_| bed.token(&session))).await;
    assert!(tokens.iter().all(|token| token.secret().expose() == b"t1"));
    assert_eq!(bed.fake.counts().0, 1);
}

#[tokio::test]
async fn repeated_denials_log_in_once_a_minute_and_revoke_the_replaced_token() {
    let bed = Bed::new(10).await;
    let session = bed.session(bed.key("a"));
    let read = bed.fetch(&session);
    let first = read.token_for_read().await;
    assert!(read.after_denial(&first).await.is_none(), "the token is of this read");
    assert_eq!(bed.fake.counts(), (1, 0, 0));

    bed.clock.advance(Duration::from_secs(30));
    let read = bed.fetch(&session);
    for _ in 0..3 {
        assert!(
            read.after_denial(&first).await.is_none(),
            "Vault knows the token, and it is less than a minute old"
        );
    }
    assert_eq!(bed.fake.counts(), (1, 1, 0), "one lookup per read");

    bed.clock.advance(Duration::from_secs(30));
    let second = bed.fetch(&session).after_denial(&first).await.expect("a new token");
    assert_eq!((second.secret().expose(), bed.fake.counts()), (&b"t2"[..], (2, 1, 1)));
    assert!(
        bed.fetch(&session).after_denial(&first).await.is_some(),
        "a read with the old token gets the new one"
    );
    assert_eq!(bed.fake.counts(), (2, 1, 1));
}

#[tokio::test]
async fn a_token_that_vault_does_not_know_is_replaced_at_once() {
    let bed = Bed::new(10).await;
    let session = bed.session(bed.key("a"));
    let first = bed.token(&session).await;
    bed.clock.advance(Duration::from_secs(1));
    bed.fake.lookup.store(403, Ordering::Relaxed);
    let second = bed.fetch(&session).after_denial(&first).await;
    assert_eq!(second.expect("a new token").secret().expose(), b"t2");
    assert_eq!(bed.fake.counts(), (2, 1, 0));
}

#[tokio::test]
async fn a_token_that_owns_leases_is_replaced_and_not_revoked() {
    let bed = Bed::new(10).await;
    let session = bed.session(bed.key("a"));
    let first = bed.token(&session).await;
    first.note_lease();
    bed.clock.advance(Duration::from_secs(60));
    assert!(bed.fetch(&session).after_denial(&first).await.is_some());
    assert_eq!(bed.fake.counts(), (2, 0, 0));
}

#[tokio::test]
async fn expired_sessions_are_evicted_first_then_those_used_longest_ago() {
    let bed = Bed::new(2).await;
    let is_known = |name: &str| bed.sessions.all().iter().any(|session| *session.key == bed.key(name));
    bed.token(&bed.session(bed.key("old"))).await;
    bed.clock.advance(Duration::from_secs(3000));
    bed.token(&bed.session(bed.key("other"))).await;
    bed.clock.advance(Duration::from_secs(1000));
    bed.session(bed.key("old"));
    // "old" was used last, but its token has expired
    bed.session(bed.key("new"));
    assert!(is_known("other"));
    bed.clock.advance(Duration::from_secs(1));
    bed.session(bed.key("new"));
    bed.session(bed.key("newest"));
    assert!(!is_known("other"), "used longest ago");
}

#[tokio::test]
async fn a_session_is_evicted_only_after_it_is_no_longer_in_use() {
    let bed = Bed::new(1).await;
    let used: Vec<_> = ["a", "b", "c"].map(|name| bed.session(bed.key(name))).into();
    assert_eq!(bed.sessions.all().len(), 3);
    drop(used);
    bed.session(bed.key("d"));
    assert_eq!(bed.sessions.all().len(), 1);
}

#[tokio::test]
async fn sessions_differ_by_every_field_of_their_key() {
    let bed = Bed::new(100).await;
    let session = bed.session(bed.key("a"));
    let mut keys = vec![bed.key("b")];
    keys.push(SessionKey { namespace: Some("n".into()), ..bed.key("a") });
    keys.push(SessionKey { auth_mount: "m".into(), ..bed.key("a") });
    keys.push(SessionKey { role: "q".into(), ..bed.key("a") });
    keys.push(SessionKey { audience: Some("vault".into()), ..bed.key("a") });
    let pod = |uid: &str| Some(Pod { name: "p".into(), uid: uid.into() });
    for uid in ["1", "2"] {
        keys.push(SessionKey {
            identity: Identity { pod: pod(uid), ..bed.key("a").identity },
            ..bed.key("a")
        });
    }
    let tls = Tls { skip_verify: true, ..Tls::default() };
    keys.push(SessionKey { target: Target { tls, ..bed.target.clone() }, ..bed.key("a") });
    for (n, key) in keys.into_iter().enumerate() {
        let other = bed.sessions.session(key, false).expect("room");
        assert!(!Arc::ptr_eq(&session, &other.session));
        assert_eq!(other.active, n + 2);
    }
}

#[tokio::test]
async fn a_replaced_token_is_revoked_by_its_last_user() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let first = bed.token(&session).await;
    let in_use = bed.token(&session).await;
    assert!(Arc::ptr_eq(&first, &in_use));
    bed.clock.advance(MINUTE);
    assert!(bed.fetch(&session).after_denial(&first).await.is_some());
    let is_listed = || session.logins.living(bed.clock_now()).iter().any(|token| Arc::ptr_eq(token, &first));
    assert!(is_listed());
    assert_eq!(bed.fake.counts().2, 0, "the token is still in use");
    drop(in_use);
    assert!(bed.fetch(&session).after_denial(&first).await.is_some());
    assert!(!is_listed());
    assert_eq!(bed.fake.counts().2, 1, "the last user revoked the token");
}

#[tokio::test]
async fn a_failed_login_serves_all_reads_that_wait() {
    let bed = Bed::new(10).await;
    bed.fake.login.store(400, Ordering::Relaxed);
    let session = bed.session(bed.key("a"));
    let read = bed.fetch(&session);
    for _ in 0..3 {
        assert!(session.logins.token(TokenNeed::Read, &read.login).await.is_err());
    }
    assert_eq!(bed.fake.counts().0, 1);
    bed.clock.advance(Duration::from_secs(1));
    bed.fake.login.store(200, Ordering::Relaxed);
    let read = bed.fetch(&session);
    assert!(session.logins.token(TokenNeed::Read, &read.login).await.is_ok(), "the next read tries again");
}

#[tokio::test]
async fn a_403_that_is_not_about_the_token_does_not_drop_the_token() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    let token = bed.token(&session).await;
    bed.clock.advance(Duration::from_secs(1));
    bed.fake.words.store(false, Ordering::Relaxed);
    bed.fake.lookup.store(403, Ordering::Relaxed);
    assert!(bed.fetch(&session).after_denial(&token).await.is_none());
    assert_eq!(session.logins.living(bed.clock_now()).len(), 1);
}

#[tokio::test]
async fn a_session_without_memory_evicts_none() {
    let bed = Bed::new(1).await;
    // one namespace can have a little more than one session
    let memory = MemoryAccount::new(10 << 10);
    let sessions = Sessions::new(1, memory, Arc::clone(&bed.clock) as Arc<dyn Clock>);
    drop(sessions.session(bed.key("a"), false).expect("room"));
    let refusal = sessions.session(bed.key("b"), false).err().expect("no room");
    assert_eq!(refusal.kind, ErrorKind::OverLimit);
    assert_eq!((sessions.all().len(), sessions.ended().len()), (1, 0));
}
