mod kept;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::{Reading, SessionKey, Sessions};
use crate::clock::manual::ManualClock;
use crate::keeping::Keeping;
use crate::vault::{TargetHandle, Targets, Vault};
use crate::{
    Address, Clock, Error, ErrorKind, Identity, Metrics, Secret, Settings, Target, Tls, TokenMinter,
};

struct NoMinter;

impl TokenMinter for NoMinter {
    fn mint<'a>(&'a self, _: &'a Identity, _: Option<&'a str>) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async { Err(Error::new(ErrorKind::NoToken, "none")) })
    }
}

/// Answers logins with tokens `t1`, `t2`… that live an hour, as they do when renewed, and `lookup-self` with the status that
/// it is told.
struct FakeVault {
    lookup: AtomicU16,
    logins: AtomicU16,
    lookups: AtomicU16,
    revocations: AtomicU16,
    /// Status of renewals, of tokens and leases.
    renewal: AtomicU16,
    renewals: AtomicU16,
}

impl FakeVault {
    async fn start() -> (Arc<Self>, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let fake = Arc::new(Self {
            lookup: AtomicU16::new(200),
            logins: AtomicU16::default(),
            lookups: AtomicU16::default(),
            revocations: AtomicU16::default(),
            renewal: AtomicU16::new(200),
            renewals: AtomicU16::default(),
        });
        let server = Arc::clone(&fake);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        (fake, Address::parse(&address).expect("an address"))
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let path = line.clone();
            let mut length = 0;
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await.expect("headers");
                if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                    length = text.trim().parse().expect("a length");
                }
            }
            line.clear();
            stream.read_exact(&mut vec![0; length]).await.expect("a body");
            let (status, body) = self.answer(&path);
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("an answer");
        }
    }

    fn answer(&self, path: &str) -> (u16, String) {
        if path.contains("/login") {
            let n = self.logins.fetch_add(1, Ordering::Relaxed) + 1;
            (200, format!(r#"{{"auth":{{"client_token":"t{n}","lease_duration":3600,"renewable":true}}}}"#))
        } else if path.contains("/renew") {
            self.renewals.fetch_add(1, Ordering::Relaxed);
            let body = r#"{"lease_id":"l","lease_duration":60,"renewable":true,
                "auth":{"client_token":"t","lease_duration":3600,"renewable":true}}"#;
            match self.renewal.load(Ordering::Relaxed) {
                200 => (200, body.to_owned()),
                status => (status, r#"{"errors":["no"]}"#.to_owned()),
            }
        } else if path.contains("/leases/lookup") {
            (self.lookup.load(Ordering::Relaxed), "{}".to_owned())
        } else if path.contains("/lookup-self") {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            (self.lookup.load(Ordering::Relaxed), "{}".to_owned())
        } else {
            self.revocations.fetch_add(1, Ordering::Relaxed);
            (204, String::new())
        }
    }

    fn counts(&self) -> (u16, u16, u16) {
        let count = |counter: &AtomicU16| counter.load(Ordering::Relaxed);
        (count(&self.logins), count(&self.lookups), count(&self.revocations))
    }
}

struct Bed {
    fake: Arc<FakeVault>,
    clock: Arc<ManualClock>,
    sessions: Sessions,
    target: Target,
    handle: Arc<TargetHandle>,
    tokens: BTreeMap<String, Secret>,
    metrics: Metrics,
}

impl Bed {
    async fn new(capacity: usize) -> Self {
        Self::keeping(capacity, None).await
    }

    async fn keeping(capacity: usize, keeping: Option<Arc<Keeping>>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (fake, address) = FakeVault::start().await;
        let clock = Arc::new(ManualClock::new());
        let target = Target { address, tls: Tls::default() };
        Self {
            fake,
            sessions: Sessions::new(capacity, Arc::clone(&clock) as Arc<dyn Clock>, keeping),
            clock,
            handle: Targets::new(Settings::default()).handle(&target).expect("a target"),
            target,
            tokens: [("vault".to_owned(), Secret::from("jwt"))].into(),
            metrics: Metrics::default(),
        }
    }

    fn key(&self, service_account: &str) -> SessionKey {
        SessionKey {
            target: self.target.clone(),
            namespace: None,
            auth_mount: "kubernetes".to_owned(),
            role: "r".to_owned(),
            audience: None,
            identity: Identity {
                namespace: "ns".to_owned(),
                service_account: service_account.to_owned(),
                pod: None,
            },
        }
    }

    /// A read that begins now.
    fn reading(&self) -> Reading<'_> {
        Reading {
            vault: Vault {
                target: &self.handle,
                namespace: None,
                deadline: Instant::now() + Duration::from_secs(10),
                metrics: &self.metrics,
            },
            began: self.clock.now(),
            tokens: &self.tokens,
            default_audience: "vault",
            minter: &NoMinter,
            class: "c",
            volume: 0,
            refresh_interval: Duration::ZERO,
        }
    }
}

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
    let old = kept("old");
    old.token(&bed.reading()).await.expect("a token");
    bed.clock.advance(Duration::from_secs(3000));
    let other = kept("other");
    other.token(&bed.reading()).await.expect("a token");
    bed.clock.advance(Duration::from_secs(1000));
    kept("old");
    // "old" was used last, but its token is over
    kept("new");
    assert!(Arc::ptr_eq(&other, &kept("other")));
    bed.clock.advance(Duration::from_secs(1));
    kept("new");
    kept("newest");
    assert!(!Arc::ptr_eq(&other, &kept("other")), "used longest ago");
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
