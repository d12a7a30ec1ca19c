//! The test bed of sessions and leases: a fake Vault, a manual clock, and a store in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coffer_vault::{
    Address, Answer, HeavyTurn, HeavyTurns, Method, Request, Secret, Target, TargetHandle, Targets, Tls,
    VaultNamespace,
};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::class::Class;
use crate::clock::manual::ManualClock;
use crate::fetch::Fetch;
use crate::lease::{Leases, StateStore, StoreError, StoredText};
use crate::memory::MemoryAccount;
use crate::session::{LoginContext, Session, SessionKey, Sessions, UsedSession};
use crate::{
    Clock, Error, ErrorKind, Identity, Pod, PodReport, PodReporter, ReadMetrics, ReportReason, Settings,
    TokenMinter,
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

struct NoMinter;

impl TokenMinter for NoMinter {
    fn mint<'a>(&'a self, _: &'a Identity, _: Option<&'a str>) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async { Err(Error::new(ErrorKind::NoToken, "none")) })
    }
}

/// A fake Vault. Logins get the tokens `t1`, `t2`… with a TTL of an hour, and so do renewals. A
/// test sets the status of other answers.
pub(crate) struct StubVault {
    /// Status of lookups, of tokens and leases.
    pub(crate) lookup: AtomicU16,
    /// Whether lookups fail with Vault's words for an unknown token.
    pub(crate) words: AtomicBool,
    /// Status of logins.
    pub(crate) login: AtomicU16,
    logins: AtomicU16,
    lookups: AtomicU16,
    revocations: AtomicU16,
    /// Whether renewals of leases with the ID `slow` get no answer.
    pub(crate) hangs: AtomicBool,
    /// Status of renewals, of tokens and leases.
    pub(crate) renewal: AtomicU16,
    renewals: AtomicU16,
    /// TTL of leases that are renewed, in seconds.
    pub(crate) granted: AtomicU16,
}

impl StubVault {
    pub(crate) async fn start() -> (Arc<Self>, Address) {
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
            granted: AtomicU16::new(60),
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
            let body = format!(
                r#"{{"lease_id":"l","lease_duration":{},"renewable":true,
                "auth":{{"client_token":"t","lease_duration":3600,"renewable":true}}}}"#,
                self.granted.load(Ordering::Relaxed)
            );
            match self.renewal.load(Ordering::Relaxed) {
                200 => (200, body),
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
        // OpenBao answers a request with an unknown token with these words
        let words = if self.words.load(Ordering::Relaxed) { "permission denied" } else { "not from here" };
        (self.lookup.load(Ordering::Relaxed), format!(r#"{{"errors":["{words}"]}}"#))
    }

    /// Returns the number of renewals that were answered.
    pub(crate) fn renewals(&self) -> u16 {
        self.renewals.load(Ordering::Relaxed)
    }

    /// Returns the numbers of logins, token lookups and revocations.
    pub(crate) fn counts(&self) -> (u16, u16, u16) {
        let count = |counter: &AtomicU16| counter.load(Ordering::Relaxed);
        (count(&self.logins), count(&self.lookups), count(&self.revocations))
    }
}

/// The test bed: sessions at a fake Vault, with a manual clock.
pub(crate) struct Bed {
    pub(crate) fake: Arc<StubVault>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) target: Target,
    pub(crate) targets: Arc<Targets>,
    pub(crate) handle: Arc<TargetHandle>,
    pub(crate) metrics: Arc<ReadMetrics>,
    /// What was reported of pods.
    pub(crate) reports: Arc<KeptReports>,
    heavy: Arc<HeavyTurn>,
    tokens: BTreeMap<String, Secret>,
    class: Class,
}

impl Bed {
    /// Returns a bed without a lease store.
    pub(crate) async fn new(capacity: usize) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (fake, address) = StubVault::start().await;
        let clock = Arc::new(ManualClock::new());
        let target = Target { address, tls: Tls::default() };
        let settings = Settings::default();
        let metrics = Arc::new(ReadMetrics::default());
        let account = MemoryAccount::new(settings.memory);
        let targets = Arc::new(Targets::new(
            settings.connections(),
            Arc::clone(&metrics) as _,
            account.all.clone(),
            HeavyTurns::default(),
        ));
        let parameters = [("roleName", "r"), ("objects", "[{objectName: file, secretPath: a/b}]")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self {
            fake,
            sessions: Arc::new(Sessions::new(capacity, account, Arc::clone(&clock) as Arc<dyn Clock>)),
            leases: Arc::default(),
            clock,
            handle: targets.handle(&target, "ns").expect("a target"),
            heavy: Arc::default(),
            targets,
            target,
            metrics,
            reports: Arc::default(),
            tokens: [("vault".to_owned(), Secret::from("jwt"))].into(),
            class: Class::parse(&parameters, &settings).expect("a class"),
        }
    }

    /// Returns a bed with a lease store in memory.
    pub(crate) async fn with_leases(capacity: usize) -> (Self, Arc<MemoryStore>) {
        let (bed, store) = (Self::new(capacity).await, Arc::new(MemoryStore::default()));
        bed.keep_leases(&store);
        (bed, store)
    }

    fn keep_leases(&self, store: &Arc<MemoryStore>) {
        self.leases.start(Arc::clone(store) as _, Arc::clone(&self.clock) as _);
    }

    /// Returns the bed after a restart of the process, which only the stored records survive.
    pub(crate) fn restarted(self, store: &Arc<MemoryStore>) -> Self {
        let sessions = Arc::new(Sessions::new(
            10,
            MemoryAccount::new(32 << 20),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
        ));
        let bed = Self { sessions, leases: Arc::default(), ..self };
        bed.keep_leases(store);
        bed
    }

    pub(crate) fn clock_now(&self) -> std::time::Instant {
        self.clock.now()
    }

    /// Returns the key of a session without a pod.
    pub(crate) fn key(&self, service_account: &str) -> SessionKey {
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

    /// Returns the session of a key, and removes the records of evicted sessions.
    pub(crate) fn session(&self, key: SessionKey) -> UsedSession {
        let found = self.sessions.session(key, self.leases.active().is_some()).expect("room");
        if let Some(store) = self.leases.store() {
            found.evicted.iter().for_each(|evicted| store.remove(evicted));
        }
        found.session
    }

    /// Returns the session of a pod.
    pub(crate) fn pod_session(&self) -> UsedSession {
        self.session(of_pod(self))
    }

    /// Returns a read of the session that begins now.
    pub(crate) fn fetch<'a>(&'a self, session: &'a Session) -> Fetch<'a> {
        let leases = self.leases.active().filter(|_| session.pod().is_some());
        let vault = VaultNamespace { target: &self.handle, namespace: None, tenant: "ns", turn: &self.heavy };
        Fetch {
            class: &self.class,
            session,
            login: LoginContext {
                key: &session.key,
                vault: vault.until(Instant::now() + Duration::from_secs(10)),
                began: self.clock.now(),
                service_account_tokens: &self.tokens,
                default_audience: "vault",
                own_token: None,
                minter: &NoMinter,
                clock: &*self.clock,
                metrics: &self.metrics,
                renewed: leases.is_some(),
            },
            leases,
            reporter: &*self.reports,
            volume: 0,
            refresh_interval: Duration::ZERO,
        }
    }

    /// Returns a token of the session for a read that begins now.
    pub(crate) async fn token(&self, session: &Session) -> crate::session::UsedToken {
        self.fetch(session).token_for_read().await
    }
}

/// Reports of pods, in the order in which they came.
#[derive(Default)]
pub(crate) struct KeptReports(Mutex<Vec<PodReport>>);

impl PodReporter for KeptReports {
    fn report(&self, report: PodReport) {
        self.0.lock().expect("no holder panics").push(report);
    }
}

impl KeptReports {
    /// Takes the reports that came since the last call: reason and text.
    pub(crate) fn take(&self) -> Vec<(ReportReason, String)> {
        let reports = std::mem::take(&mut *self.0.lock().expect("no holder panics"));
        reports.into_iter().map(|report| (report.reason, report.note)).collect()
    }
}

/// A state store in memory.
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<Vec<(String, Secret)>>);

/// The end of the name under which the store has the journal of a record.
const JOURNAL: &str = ".journal";

impl StateStore for MemoryStore {
    fn names(&self) -> Vec<String> {
        let stored = self.0.lock().expect("no holder panics");
        stored.iter().map(|(name, _)| name.clone()).filter(|name| !name.ends_with(JOURNAL)).collect()
    }

    fn contains(&self, name: &str) -> bool {
        self.0.lock().expect("no holder panics").iter().any(|(other, _)| other == name)
    }

    fn load(&self, name: &str) -> Option<StoredText> {
        let stored = self.0.lock().expect("no holder panics");
        let text = |name: &str| stored.iter().find(|(other, _)| other == name).map(|(_, text)| text.clone());
        Some(StoredText { record: text(name)?, journal: text(&format!("{name}{JOURNAL}")) })
    }

    fn save_journal(&self, name: &str, journal: &Secret) -> Result<(), StoreError> {
        self.save(&format!("{name}{JOURNAL}"), journal)
    }

    fn remove_journal(&self, name: &str) {
        self.remove(&format!("{name}{JOURNAL}"));
    }

    fn save(&self, name: &str, record: &Secret) -> Result<(), StoreError> {
        self.remove(name);
        self.0.lock().expect("no holder panics").push((name.to_owned(), record.clone()));
        Ok(())
    }

    fn remove(&self, name: &str) {
        self.0.lock().expect("no holder panics").retain(|(other, _)| other != name);
    }

    fn set_aside(&self, name: &str, _: &dyn fmt::Display) {
        self.remove(name);
    }
}

/// Returns the key of the session of a pod.
pub(crate) fn of_pod(bed: &Bed) -> SessionKey {
    of_pod_as(bed, "a")
}

/// Returns the key of the session of a pod with this service account.
pub(crate) fn of_pod_as(bed: &Bed, service_account: &str) -> SessionKey {
    let pod = Some(Pod { name: "p".into(), uid: "u".into() });
    let key = bed.key(service_account);
    SessionKey { identity: Identity { pod, ..key.identity }, ..key }
}

/// Returns a GET that may issue something.
pub(crate) fn creds(name: &str) -> Request {
    Request::get(format!("database/creds/{name}"))
}

/// Returns a POST, which issues something.
pub(crate) fn issue_request() -> Request {
    Request { method: Method::Post, ..creds("issue") }
}

pub(crate) fn answer(body: &str) -> Answer {
    Answer::from_body(Secret::from(body)).expect("JSON")
}

/// Returns an answer with the lease `l`, which has this TTL.
pub(crate) fn lease(seconds: u64) -> Answer {
    lease_called("l", seconds)
}

/// Returns an answer with a lease that has this ID and TTL.
pub(crate) fn lease_called(id: &str, seconds: u64) -> Answer {
    answer(&format!(
        r#"{{"lease_id":"{id}","lease_duration":{seconds},"renewable":true,"data":{{"password":"hunter2"}}}}"#
    ))
}
