//! A fake Vault with scripted answers, for faults that a real Vault cannot be made to show.

mod scripted_answer;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::scripted_answer::AnswerAction;
use crate::tls::TestCa;
use crate::wait::until_true;

pub use self::scripted_answer::ScriptedAnswer;

/// The path of a login at `auth/kubernetes`.
pub const LOGIN: &str = "/v1/auth/kubernetes/login";

/// An HTTP server that answers by [script](Self::script). Without a script, each login succeeds
/// with a new token, requests to `auth/token/…` succeed, and everything else is 404. Dropping the
/// value ends the server.
#[derive(Debug)]
pub struct FakeVault {
    address: String,
    state: Arc<FakeVaultState>,
    task: JoinHandle<()>,
}

/// A request that the server received.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The HTTP method.
    pub method: String,
    /// The path with `/v1/`, without the query.
    pub path: String,
    /// The query, still encoded.
    pub query: String,
    /// The headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl RecordedRequest {
    /// Returns the token in the request's header.
    pub fn token(&self) -> Option<&str> {
        self.headers.get("x-vault-token").map(String::as_str)
    }

    /// Returns the body as JSON; null if the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[derive(Debug)]
struct FakeVaultState {
    scripts: Mutex<HashMap<(String, String), VecDeque<ScriptedAnswer>>>,
    recorded: Mutex<Vec<RecordedRequest>>,
    released: watch::Sender<bool>,
}

impl FakeVault {
    /// Serves HTTP on a free loopback port.
    pub async fn start() -> Self {
        Self::serve("127.0.0.1:0", None).await
    }

    /// Serves HTTP at the address of a server that was [stopped](Self::stop).
    pub async fn start_at(address: &str) -> Self {
        Self::serve(address.trim_start_matches("http://"), None).await
    }

    /// Serves HTTPS with a certificate for `127.0.0.1`, issued by that authority.
    pub async fn start_tls(ca: &TestCa) -> Self {
        Self::serve("127.0.0.1:0", Some(ca)).await
    }

    /// Ends the server and all connections, and returns the server's address.
    pub async fn stop(mut self) -> String {
        self.task.abort();
        let _ = (&mut self.task).await;
        std::mem::take(&mut self.address)
    }

    /// Returns the server's address with its scheme.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sets the answers for a method and a path (with `/v1/`), used in order; the last one repeats.
    ///
    /// # Panics
    /// If there are no answers.
    pub fn script(&self, method: &str, path: &str, answers: impl IntoIterator<Item = ScriptedAnswer>) {
        let answers: VecDeque<ScriptedAnswer> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "a script needs an answer");
        lock(&self.state.scripts).insert((method.to_owned(), path.to_owned()), answers);
    }

    /// Sends all held answers, now and from now on.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Returns all requests so far, in order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.state.recorded).clone()
    }

    /// Returns the requests so far with that method and path (with `/v1/`).
    pub fn requests_to(&self, method: &str, path: &str) -> Vec<RecordedRequest> {
        let wanted = |request: &RecordedRequest| request.method == method && request.path == path;
        self.requests().into_iter().filter(wanted).collect()
    }

    /// Returns the number of logins so far.
    pub fn logins(&self) -> usize {
        self.requests().iter().filter(|request| request.path.ends_with("/login")).count()
    }

    /// Waits for at least `count` requests with that method and path.
    pub async fn took(&self, method: &str, path: &str, count: usize) {
        let what = format!("{count} requests {method} {path} at the fault server");
        until_true(&what, async || self.requests_to(method, path).len() >= count).await;
    }

    async fn serve(address: &str, ca: Option<&TestCa>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a loopback port");
        let port = listener.local_addr().expect("a bound listener").port();
        let scheme = if ca.is_some() { "https" } else { "http" };
        let state = Arc::new(FakeVaultState {
            scripts: Mutex::default(),
            recorded: Mutex::default(),
            released: watch::Sender::new(false),
        });
        let task = tokio::spawn(accept(listener, ca.map(TestCa::acceptor), Arc::clone(&state)));
        Self { address: format!("{scheme}://127.0.0.1:{port}"), state, task }
    }
}

impl Drop for FakeVault {
    fn drop(&mut self) {
        // Connections are in the task's own set and end with the task.
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>, state: Arc<FakeVaultState>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            match tls {
                None => converse(stream, &state).await,
                Some(tls) => converse(tls.accept(stream).await?, &state).await,
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, state: &FakeVaultState) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await? {
        let answer = state.answer(&request);
        lock(&state.recorded).push(request);
        if answer.held {
            state.released().await;
        }
        match answer.deed {
            AnswerAction::Write(bytes) => stream.write_all(&bytes).await?,
            AnswerAction::WriteAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            AnswerAction::WriteAndStall(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                state.released().await;
                return stream.shutdown().await;
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn read_request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<RecordedRequest>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));

    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    Ok(Some(RecordedRequest { method, path, query, headers, body }))
}

impl FakeVaultState {
    async fn released(&self) {
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }

    fn answer(&self, request: &RecordedRequest) -> ScriptedAnswer {
        let mut scripts = lock(&self.scripts);
        let script = scripts.get_mut(&(request.method.clone(), request.path.clone()));
        match script {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => None,
        }
        .unwrap_or_else(|| self.unscripted(&request.path))
    }

    fn unscripted(&self, path: &str) -> ScriptedAnswer {
        if path.ends_with("/login") {
            let number = lock(&self.recorded).len();
            ScriptedAnswer::login(&format!("hvs.from-the-fault-server-{number}"), 3600)
        } else if path.starts_with("/v1/auth/token/revoke") {
            ScriptedAnswer::empty(204)
        } else if path.starts_with("/v1/auth/token/") {
            ScriptedAnswer::secret(serde_json::json!({ "ttl": 3600, "renewable": true }))
        } else {
            ScriptedAnswer::error(404, "no handler for this route")
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
