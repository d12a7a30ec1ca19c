//! What the tests of sessions begin with: a small Vault, a clock that is moved, and a store.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::HeaderMap;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::clock::manual::ManualClock;
use crate::keeping::{Keeping, StateStore};
use crate::plan::{Method, Request};
use crate::session::{Reading, Session, SessionKey, Sessions};
use crate::vault::{Answer, Share, TargetHandle, Targets, Vault};
use crate::{
    Address, Clock, Error, ErrorKind, Identity, Metrics, Pod, Secret, Settings, Target, Tls, TokenMinter,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

struct NoMinter;

impl TokenMinter for NoMinter {
    fn mint<'a>(&'a self, _: &'a Identity, _: Option<&'a str>) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async { Err(Error::new(ErrorKind::NoToken, "none")) })
    }
}

/// Answers logins with tokens `t1`, `t2`… that live an hour, as they do when renewed, and `lookup-self` with the status that
/// it is told.
pub(super) struct FakeVault {
    pub(super) lookup: AtomicU16,
    /// Whether a 403 is Vault's own word, and not that of something before it.
    pub(super) words: AtomicBool,
    /// Status of logins.
    pub(super) login: AtomicU16,
    logins: AtomicU16,
    lookups: AtomicU16,
    revocations: AtomicU16,
    /// Whether renewals of leases called `slow` get no answer.
    pub(super) hangs: AtomicBool,
    /// Status of renewals, of tokens and leases.
    pub(super) renewal: AtomicU16,
    renewals: AtomicU16,
}

impl FakeVault {
    pub(super) async fn start() -> (Arc<Self>, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let fake = Arc::new(Self {
            lookup: AtomicU16::new(200),
            words: AtomicBool::new(true),
            login: AtomicU16::new(200),
            logins: AtomicU16::default(),
            lookups: AtomicU16::default(),
            revocations: AtomicU16::default(),
            hangs: AtomicBool::default(),
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
            let mut sent = vec![0; length];
            stream.read_exact(&mut sent).await.expect("a body");
            if self.hangs.load(Ordering::Relaxed) && String::from_utf8_lossy(&sent).contains("slow") {
                pending::<()>().await;
            }
            let (status, body) = self.answer(&path);
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("an answer");
        }
    }

    fn answer(&self, path: &str) -> (u16, String) {
        if path.contains("/login") {
            let n = self.logins.fetch_add(1, Ordering::Relaxed) + 1;
            let body =
                format!(r#"{{"auth":{{"client_token":"t{n}","lease_duration":3600,"renewable":true}}}}"#);
            (self.login.load(Ordering::Relaxed), body)
        } else if path.contains("/renew") {
            self.renewals.fetch_add(1, Ordering::Relaxed);
            let body = r#"{"lease_id":"l","lease_duration":60,"renewable":true,
                "auth":{"client_token":"t","lease_duration":3600,"renewable":true}}"#;
            match self.renewal.load(Ordering::Relaxed) {
                200 => (200, body.to_owned()),
                status => (status, r#"{"errors":["no"]}"#.to_owned()),
            }
        } else if path.contains("/leases/lookup") {
            self.lookup()
        } else if path.contains("/lookup-self") {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            self.lookup()
        } else {
            self.revocations.fetch_add(1, Ordering::Relaxed);
            (204, String::new())
        }
    }

    fn lookup(&self) -> (u16, String) {
        // a 403 as OpenBao answers to a token that it does not know
        let words = if self.words.load(Ordering::Relaxed) { "permission denied" } else { "not from here" };
        (self.lookup.load(Ordering::Relaxed), format!(r#"{{"errors":["{words}"]}}"#))
    }

    /// Renewals that were answered.
    pub(super) fn renewals(&self) -> u16 {
        self.renewals.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> (u16, u16, u16) {
        let count = |counter: &AtomicU16| counter.load(Ordering::Relaxed);
        (count(&self.logins), count(&self.lookups), count(&self.revocations))
    }
}

pub(super) struct Bed {
    pub(super) fake: Arc<FakeVault>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) sessions: Sessions,
    pub(super) target: Target,
    pub(super) handle: Arc<TargetHandle>,
    pub(super) tokens: BTreeMap<String, Secret>,
    pub(super) metrics: Metrics,
}

impl Bed {
    pub(super) async fn new(capacity: usize) -> Self {
        Self::keeping(capacity, None).await
    }

    pub(super) async fn keeping(capacity: usize, keeping: Option<Arc<Keeping>>) -> Self {
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

    pub(super) fn key(&self, service_account: &str) -> SessionKey {
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
    pub(super) fn reading(&self) -> Reading<'_> {
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

/// A store that outlives the sessions, as a directory does.
#[derive(Default)]
pub(super) struct Memory(Mutex<Vec<(String, Secret)>>);

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

    fn set_aside(&self, name: &str, _: &str) {
        self.remove(name);
    }
}

pub(super) async fn keeping_bed() -> (Bed, Arc<Memory>) {
    let store = Arc::new(Memory::default());
    let keeping = Keeping::new(Arc::clone(&store) as Arc<dyn StateStore>);
    (Bed::keeping(10, Some(Arc::new(keeping))).await, store)
}

pub(super) fn of_pod(bed: &Bed) -> SessionKey {
    of_pod_as(bed, "a")
}

pub(super) fn of_pod_as(bed: &Bed, service_account: &str) -> SessionKey {
    let pod = Some(Pod { name: "p".into(), uid: "u".into() });
    let key = bed.key(service_account);
    SessionKey { identity: Identity { pod, ..key.identity }, ..key }
}

pub(super) fn creds(name: &str) -> Request {
    Request { method: Method::Get, path: format!("database/creds/{name}"), query: Vec::new(), body: None }
}

pub(super) fn answer(body: &str) -> Answer {
    Answer::new(200, &HeaderMap::new(), Secret::from(body), Share::default(), &[]).expect("an answer")
}

pub(super) fn lease(seconds: u64) -> Answer {
    lease_called("l", seconds)
}

pub(super) fn lease_called(id: &str, seconds: u64) -> Answer {
    answer(&format!(
        r#"{{"lease_id":"{id}","lease_duration":{seconds},"renewable":true,"data":{{"password":"hunter2"}}}}"#
    ))
}

/// Asks as a read does; the answer is what Vault is said to have issued.
pub(super) async fn issue(session: &Session, request: &Request, issued: Answer, reading: &Reading<'_>) {
    let asked = session.now();
    let token = session.token(reading).await.expect("a token");
    let grant = issued.grant(request.issues());
    session.hold((issued, grant), (request, vec!["file".to_owned()]), &token, asked, reading);
}

pub(super) fn serves(session: &Session, request: &Request, reading: &Reading<'_>) -> bool {
    session.held(request.id(), reading).is_some()
}

pub(super) async fn renew(session: &Arc<Session>, bed: &Bed) {
    for attempt in [Attempt::First, Attempt::Again] {
        session.start_renewing(attempt).renew_due(&bed.reading().vault).await;
    }
}

pub(super) fn after_restart(bed: &Bed, store: &Arc<Memory>) -> crate::session::Sessions {
    let keeping = Keeping::new(Arc::clone(store) as Arc<dyn StateStore>);
    let clock = Arc::clone(&bed.clock) as Arc<dyn Clock>;
    crate::session::Sessions::new(10, clock, Some(Arc::new(keeping)))
}
