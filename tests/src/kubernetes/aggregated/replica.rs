//! A process of coffer-api-server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::binaries::coffer_binary;
use crate::ports::free_port;
use crate::process::Process;

/// A running coffer-api-server with the shipped rights. It can be stopped and started again.
pub struct Replica {
    process: Mutex<Process>,
    port: u16,
    kubeconfig: PathBuf,
    log: PathBuf,
    flags: Vec<String>,
}

impl Replica {
    /// Starts the process with the kubeconfig in `dir`, without waiting until it serves.
    pub(super) fn start(dir: &Path, vault: &str, flags: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(1);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let (kubeconfig, log) = (dir.join("kubeconfig"), dir.join(format!("coffer-api-server-{number}.log")));
        let defaults = [format!("--vault-addr={vault}"), "--shutdown-delay=1s".to_owned()];
        let flags: Vec<String> =
            defaults.into_iter().chain(flags.iter().map(|flag| (*flag).to_owned())).collect();
        let port = free_port();
        let process = Mutex::new(run(&kubeconfig, &log, port, &flags));
        Self { process, port, kubeconfig, log, flags }
    }

    /// Starts the process again, on the same port and with the same flags.
    pub(super) fn start_again(&self) {
        let process = run(&self.kubeconfig, &self.log, self.port, &self.flags);
        *self.process() = process;
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns everything logged since the last start.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Prints the end of the log.
    pub fn show_log(&self) {
        self.process().show_log();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process().terminate();
    }

    /// Kills the process.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Returns whether the process has not ended.
    pub fn is_running(&self) -> bool {
        self.process().is_running()
    }

    /// Returns the CPU time used so far, in steps of 10 ms.
    pub fn cpu_time(&self) -> Duration {
        self.process().cpu_time()
    }

    /// Returns the resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.process().resident_kib()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(kubeconfig: &Path, log: &Path, port: u16, flags: &[String]) -> Process {
    let mut command = Command::new(coffer_binary("coffer-api-server"));
    command.env_clear().env("KUBECONFIG", kubeconfig).arg(format!("--listen=127.0.0.1:{port}")).args(flags);
    Process::start("coffer-api-server", &mut command, log.to_owned())
}
