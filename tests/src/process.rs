//! A process that a test started and ends.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::wait::until;

/// A running program whose output goes to a file. Killed by its own id when dropped; when the test is
/// failing, its log is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both outputs in the file `log`.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let out = File::create(&log).expect("create the log file");
        let err = out.try_clone().expect("share the log file");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child =
            child.unwrap_or_else(|e| panic!("cannot start {name} ({:?}): {e}", command.get_program()));
        Self { name: name.to_owned(), child, log }
    }

    /// Everything that the process has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).expect("the process takes a signal");
    }

    /// Stops it where it stands; [`Self::thaw`] lets it go on.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("the process takes a signal");
        // Not before all of its threads stand.
        waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).expect("the process stops");
    }

    /// Lets it go on after [`Self::freeze`].
    ///
    /// # Panics
    /// When the process is gone.
    pub fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).expect("the process takes a signal");
    }

    /// Ends it at once, whatever it is doing.
    pub fn kill(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Prints the end of the log.
    pub fn show_log(&self) {
        let log = self.log();
        let tail: Vec<&str> = log.lines().rev().take(60).collect();
        eprintln!("--- end of the log of {} ---", self.name);
        tail.iter().rev().for_each(|line| eprintln!("{line}"));
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn wait(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        until(&what, async || self.child.try_wait().expect("the process can be waited for")).await
    }

    /// Resident memory in KiB.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn resident_kib(&self) -> u64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|n| n.parse().ok()).expect("VmRSS in /proc")
    }

    /// The kernel's limits on it, as `/proc/PID/limits` lists them.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn limits(&self) -> String {
        self.proc_file("limits")
    }

    /// CPU time used so far, user and system, in the kernel's steps of 10 ms.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn cpu_time(&self) -> Duration {
        let stat = self.proc_file("stat");
        // The second field is the name in brackets and may hold spaces.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in /proc/PID/stat");
        let ticks = fields.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.id())).expect("read /proc of a running process")
    }

    /// Its id, as signals take it.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_log();
        }
        self.kill();
    }
}
