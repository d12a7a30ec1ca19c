//! etcd, where kube-apiserver stores its objects.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::programs::ServerProgram;
use crate::http::http_client;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until_true;

/// A running etcd with an empty store.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    address: String,
    dir: TempDir,
}

impl Etcd {
    /// Starts etcd.
    ///
    /// # Panics
    /// If etcd does not become ready.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let address = format!("http://127.0.0.1:{}", free_port());
        let peers = format!("http://127.0.0.1:{}", free_port());
        let mut command = Command::new(ServerProgram::Etcd.path());
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
        until_true("etcd to be ready", async || {
            assert!(process.is_running(), "etcd ended while starting");
            let answer = http.get(format!("{address}/readyz")).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        Self { process, address, dir }
    }

    /// Returns the server's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the contents of etcd's files: everything that kube-apiserver stores, and the
    /// write-ahead log.
    ///
    /// # Panics
    /// If the files cannot be read.
    pub fn files(&self) -> Vec<Vec<u8>> {
        ["snap/db", "wal"]
            .map(|part| self.dir.path().join("data/member").join(part))
            .iter()
            .flat_map(read)
            .collect()
    }

    /// Returns the process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// Returns the contents of a file, or of every file in a folder.
fn read(path: &PathBuf) -> Vec<Vec<u8>> {
    if path.is_file() {
        return vec![fs::read(path).expect("read a file of etcd")];
    }
    let entries =
        fs::read_dir(path).expect("read a folder of etcd").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| read(&path)).collect()
}
