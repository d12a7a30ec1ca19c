//! A real OpenBao for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::binaries::find_bao;
use crate::http::http_client;
use crate::ports::free_port;
use crate::process::Process;
use crate::tls::TestCa;
use crate::wait::until_true;

/// OpenBao in dev mode (KV v2 at `secret/`), ready and unsealed, on a loopback port and a unix
/// socket. `openbao_admin.rs` has the requests of an administrator.
#[derive(Debug)]
pub struct OpenBao {
    process: Process,
    address: String,
    tls_port: u16,
    pub(crate) http: reqwest::Client,
    dir: TempDir,
}

/// A request in OpenBao's audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedRequest {
    /// `read`, `update`, `list`, …
    pub operation: String,
    /// The path, without `/v1/`.
    pub path: String,
    /// The hash of the token, equal for equal tokens; `None` for a login.
    pub token: Option<String>,
}

impl OpenBao {
    /// Starts a server with an audit log: [`Self::requests`] counts exactly.
    ///
    /// # Panics
    /// If the server does not become ready.
    pub async fn start() -> Self {
        Self::launch(true, None).await
    }

    /// Starts a server that also serves TLS, at a [port](Self::tls_port) of its own, and asks for
    /// client certificates.
    ///
    /// # Panics
    /// If the server does not become ready.
    pub async fn start_with_tls(ca: &TestCa) -> Self {
        Self::launch(true, Some(ca)).await
    }

    /// Starts a server without an audit log, for benchmarks.
    ///
    /// # Panics
    /// If the server does not become ready.
    pub async fn start_unaudited() -> Self {
        Self::launch(false, None).await
    }

    /// Returns the port of TLS on `127.0.0.1` and `localhost`.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Returns the HTTP address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the unix socket that serves the same API.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("bao.sock")
    }

    /// Returns all requests so far that were not made with the root token, in order.
    ///
    /// # Panics
    /// If the audit log has an unknown format.
    pub fn requests(&self) -> Vec<AuditedRequest> {
        let log = fs::read_to_string(audit_file(self.dir.path())).unwrap_or_default();
        // The last line may be incomplete.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let entries = whole.lines().map(|line| serde_json::from_str(line).expect("JSON in the audit log"));
        entries.filter_map(|entry: Value| audited(&entry)).collect()
    }

    /// Returns the number of logins among the [requests](Self::requests).
    pub fn logins(&self) -> usize {
        self.requests().iter().filter(|request| request.path.ends_with("/login")).count()
    }

    /// Returns the number of [requests](Self::requests) to a path.
    pub fn requests_to(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }

    /// Returns the process, for its CPU time and memory.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Returns a server whose process runs already.
    pub(crate) fn running(process: Process, address: String, dir: TempDir) -> Self {
        Self { process, address, tls_port: 0, http: http_client(), dir }
    }

    /// Puts another process in the place of the one that ended.
    pub(crate) fn replace(&mut self, process: Process) {
        self.process = process;
    }

    /// Returns the folder with the configuration and the data.
    pub(crate) fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the process, to wait for it.
    pub(crate) fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn launch(audit: bool, ca: Option<&TestCa>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (port, tls_port) = (free_port(), free_port());
        let config = dir.path().join("config.hcl");
        let tls = ca.map(|ca| tls_listener(dir.path(), ca, tls_port)).unwrap_or_default();
        let configuration = configuration(dir.path(), audit) + &tls;
        fs::write(&config, configuration).expect("write OpenBao's configuration");

        let mut command = Command::new(find_bao());
        command
            .env_clear()
            .env("HOME", dir.path())
            .args(["server", "-dev", "-dev-no-store-token", "-log-level=warn"])
            .arg(format!("-dev-root-token-id={}", Self::ROOT_TOKEN))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-config={}", config.display()));
        let mut process = Process::start("OpenBao", &mut command, dir.path().join("bao.log"));

        let address = format!("http://127.0.0.1:{port}");
        let http = http_client();
        let health = format!("{address}/v1/sys/health");
        until_true("OpenBao to be ready", async || {
            assert!(process.is_running(), "OpenBao ended while starting");
            let answer = http.get(&health).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;

        let bao = Self { process, address, tls_port, http, dir };
        // Dev mode mounts `secret/` only after the server has become healthy.
        until_true("KV v2 at secret/", async || bao.kv_is_ready().await).await;
        bao
    }
}

fn configuration(dir: &Path, audit: bool) -> String {
    let socket = format!("listener \"unix\" {{ address = \"{}\" }}\n", dir.join("bao.sock").display());
    // The metrics count requests where there is no audit log.
    let telemetry = "telemetry { prometheus_retention_time = \"1h\" disable_hostname = true }\n";
    let file = audit_file(dir);
    let audit = if audit {
        format!("audit \"file\" \"requests\" {{ options {{ file_path = \"{}\" }} }}\n", file.display())
    } else {
        String::new()
    };
    format!("{socket}{telemetry}{audit}")
}

/// Returns the configuration of a listener with a certificate for this host.
fn tls_listener(dir: &Path, ca: &TestCa, port: u16) -> String {
    let issued = ca.issue("vault", &["127.0.0.1", "localhost"]);
    let (certificate, key) = (dir.join("tls.crt"), dir.join("tls.key"));
    fs::write(&certificate, issued.certificate).expect("write a certificate");
    fs::write(&key, issued.key).expect("write a key");
    format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  cluster_address = \"127.0.0.1:{}\"\n  \
         tls_cert_file = {certificate:?}\n  tls_key_file = {key:?}\n}}\n",
        port + 1
    )
}

fn audit_file(dir: &Path) -> PathBuf {
    dir.join("audit.log")
}

fn audited(entry: &Value) -> Option<AuditedRequest> {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    let policies = entry.pointer("/auth/policies").and_then(Value::as_array);
    let by_root = policies.is_some_and(|policies| policies.iter().any(|policy| policy == "root"));
    if text("/type") != Some("request") || by_root {
        return None;
    }
    let path = text("/request/path")?;
    if path == "sys/audit/test" {
        return None;
    }
    Some(AuditedRequest {
        operation: text("/request/operation").unwrap_or_default().to_owned(),
        path: path.to_owned(),
        token: text("/auth/client_token").map(str::to_owned),
    })
}
