//! The benchmark's Go programs: a load that mounts through grpc-go, as the driver does, and the
//! relay that coffer-csi is compared with. Their sources are in `tests/servers/grpc-go/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coffer_tests::{Process, until};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::rounds::Round;
use crate::vault::BenchVault;

/// What the load prints. Latencies are in milliseconds.
#[derive(Deserialize)]
struct LoadResult {
    count: usize,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
}

/// Runs a round of mounts through grpc-go, with one worker for each request in the file.
pub(crate) async fn mount_load(socket: &Path, requests: &Path, length: Duration) -> Round {
    let mut load = Command::new(program("mount-load"));
    load.arg("-socket").arg(socket).arg("-requests").arg(requests);
    load.arg("-duration").arg(format!("{}ms", length.as_millis())).kill_on_drop(true);
    let output = load.output().await.expect("run mount-load");
    assert!(output.status.success(), "mount-load failed: {}", String::from_utf8_lossy(&output.stderr));
    let result: LoadResult = serde_json::from_slice(&output.stdout).expect("JSON from mount-load");
    let duration = |milliseconds: f64| Duration::from_secs_f64(milliseconds / 1e3);
    Round {
        count: result.count,
        per_second: result.per_second,
        p50: duration(result.p50_ms),
        p99: duration(result.p99_ms),
        longest: duration(result.longest_ms),
    }
}

/// A provider without any logic: it answers each Mount by one GET of the secret, with the token of
/// a pod's login.
pub(crate) struct VaultRelay {
    process: Process,
    socket: PathBuf,
    _dir: TempDir,
}

impl VaultRelay {
    /// Starts the relay, and waits until it accepts connections.
    pub(crate) async fn start(vault: &BenchVault) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = dir.path().join("relay.sock");
        let mut command = std::process::Command::new(program("vault-relay"));
        command.env_clear().env("VAULT_TOKEN", vault.pod_token().await);
        command.arg("-socket").arg(&socket).arg("-url").arg(vault.secret_url());
        let process = Process::start("vault-relay", &mut command, dir.path().join("relay.log"));
        until("vault-relay to listen", async || UnixStream::connect(&socket).await.ok()).await;
        Self { process, socket, _dir: dir }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

fn program(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = tests.join("../target/servers/grpc-go").join(name);
    assert!(path.is_file(), "{} is not built: run `cargo xtask bench`", path.display());
    path
}
