//! A real OpenBao of its own for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::binaries::find_bao;
use crate::http::http_client;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until_true;

/// OpenBao in dev mode (KV v2 at `secret/`), ready and unsealed, on a loopback port and on a unix socket.
/// Its administration is in `openbao_admin.rs`.
#[derive(Debug)]
pub struct OpenBao {
    process: Process,
    address: String,
    pub(crate) http: reqwest::Client,
    dir: TempDir,
}

/// One request that OpenBao took, as its audit log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedRequest {
    /// `read`, `update`, `list`, …
    pub operation: String,
    /// The path, without `/v1/`.
    pub path: String,
    /// Who asked: an id of the token, equal for equal tokens; `None` for a login.
    pub token: Option<String>,
}

impl OpenBao {
    /// Starts a server that audits: [`Self::requests`] counts exactly.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        Self::launch(true).await
    }

    /// Starts a server without an audit log, for measuring.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_unaudited() -> Self {
        Self::launch(false).await
    }

    /// Where it serves HTTP.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The socket on which it serves HTTP too.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("bao.sock")
    }

    /// Every request so far that did not come with the root token, in order.
    ///
    /// # Panics
    /// When the audit log is not what OpenBao writes.
    pub fn requests(&self) -> Vec<AuditedRequest> {
        let log = fs::read_to_string(audit_file(self.dir.path())).unwrap_or_default();
        // The last line may still be in the writing.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let entries = whole.lines().map(|line| serde_json::from_str(line).expect("JSON in the audit log"));
        entries.filter_map(|entry: Value| audited(&entry)).collect()
    }

    /// How many of the [requests](Self::requests) were logins.
    pub fn logins(&self) -> usize {
        self.requests().iter().filter(|request| request.path.ends_with("/login")).count()
    }

    /// How many of the [requests](Self::requests) went to that path.
    pub fn requests_to(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }

    /// The server's CPU time and memory are measured there.
    pub fn process(&self) -> &Process {
        &self.process
    }

    async fn launch(audit: bool) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let config = dir.path().join("config.hcl");
        fs::write(&config, configuration(dir.path(), audit)).expect("write OpenBao's configuration");

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

        let bao = Self { process, address, http, dir };
        // Dev mode mounts `secret/` a moment after the server calls itself healthy.
        until_true("KV v2 at secret/", async || bao.kv_is_ready().await).await;
        bao
    }
}

fn configuration(dir: &Path, audit: bool) -> String {
    let socket = format!("listener \"unix\" {{ address = \"{}\" }}\n", dir.join("bao.sock").display());
    // The metrics tell how many requests there were where no audit log does.
    let telemetry = "telemetry { prometheus_retention_time = \"1h\" disable_hostname = true }\n";
    let file = audit_file(dir);
    let audit = if audit {
        format!("audit \"file\" \"requests\" {{ options {{ file_path = \"{}\" }} }}\n", file.display())
    } else {
        String::new()
    };
    format!("{socket}{telemetry}{audit}")
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
