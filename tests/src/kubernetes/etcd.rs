//! etcd, where kube-apiserver keeps its objects.

use std::process::Command;

use tempfile::TempDir;

use super::programs::Program;
use crate::http::http_client;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until;

/// One etcd with an empty store, ready.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    address: String,
    _dir: TempDir,
}

impl Etcd {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let address = format!("http://127.0.0.1:{}", free_port());
        let peers = format!("http://127.0.0.1:{}", free_port());
        let mut command = Command::new(Program::Etcd.path());
        command
            .env_clear()
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(["--name", "test", "--log-level", "warn", "--unsafe-no-fsync"])
            .args(["--heartbeat-interval", "20", "--election-timeout", "100"])
            .args(["--listen-client-urls", &address, "--advertise-client-urls", &address])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("test={peers}")]);
        let mut process = Process::start("etcd", &mut command, dir.path().join("etcd.log"));

        let http = http_client();
        until("etcd to be ready", async || {
            assert!(process.is_running(), "etcd ended while starting");
            let answer = http.get(format!("{address}/readyz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Self { process, address, _dir: dir }
    }

    /// Where it serves.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
