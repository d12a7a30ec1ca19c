//! A process of coffer-api-server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::binaries::coffer_binary;
use crate::limits::ProcessLimits;
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
        let process = Mutex::new(run(&kubeconfig, &log, port, &flags, None));
        Self { process, port, kubeconfig, log, flags }
    }

    /// Starts the process again, on the same port and with the same flags.
    pub(super) fn start_again(&self) {
        *self.process() = run(&self.kubeconfig, &self.log, self.port, &self.flags, None);
    }

    /// Does the same within limits.
    pub(super) fn start_within(&self, limits: &ProcessLimits) {
        *self.process() = run(&self.kubeconfig, &self.log, self.port, &self.flags, Some(limits));
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

    /// Returns the largest resident memory so far in KiB, or nothing if the process has ended.
    pub fn peak_resident_kib(&self) -> Option<u64> {
        self.process().peak_resident_kib()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(
    kubeconfig: &Path,
    log: &Path,
    port: u16,
    flags: &[String],
    limits: Option<&ProcessLimits>,
) -> Process {
    let binary = coffer_binary("coffer-api-server");
    let mut command = match limits {
        Some(limits) => limits.command(&binary),
        None => Command::new(&binary),
    };
    command.env_clear().env("KUBECONFIG", kubeconfig).arg(format!("--listen=127.0.0.1:{port}")).args(flags);
    Process::start("coffer-api-server", &mut command, log.to_owned())
}
