//! A process that a test started and ends.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::wait::until;

/// A running program whose output goes to a file. Dropping the value kills the process by its id,
/// and shows its log if the test is failing.
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
    /// If the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let out = File::create(&log).expect("create the log file");
        let err = out.try_clone().expect("share the log file");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child =
            child.unwrap_or_else(|e| panic!("cannot start {name} ({:?}): {e}", command.get_program()));
        Self { name: name.to_owned(), child, log }
    }

    /// Returns everything that the process has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Returns the whole lines that were printed after the first `from` bytes, and the number of
    /// bytes up to their end.
    pub fn log_after(&self, from: u64) -> (String, u64) {
        let mut bytes = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.read_to_end(&mut bytes)
        });
        // What cannot be read now is read the next time.
        let end = read.ok().and_then(|_| bytes.iter().rposition(|byte| *byte == b'\n'));
        bytes.truncate(end.map_or(0, |end| end + 1));
        (String::from_utf8_lossy(&bytes).into_owned(), from + bytes.len() as u64)
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).expect("the process takes a signal");
    }

    /// Suspends the process; [`Self::thaw`] resumes it.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("the process takes a signal");
        // Returns only once all threads are stopped.
        waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).expect("the process stops");
    }

    /// Resumes the process after [`Self::freeze`].
    ///
    /// # Panics
    /// If the process has ended.
    pub fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).expect("the process takes a signal");
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        // Both fail only if the process has ended already.
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

    /// Waits for the process to end.
    ///
    /// # Panics
    /// If the process does not end.
    pub async fn wait(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        until(&what, async || self.child.try_wait().expect("the process can be waited for")).await
    }

    /// Returns the resident memory in KiB.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn resident_kib(&self) -> u64 {
        self.try_resident_kib().expect("VmRSS in /proc")
    }

    /// Returns the resident memory in KiB, or nothing if the process has ended.
    pub fn try_resident_kib(&self) -> Option<u64> {
        self.status_kib("VmRSS:")
    }

    /// Returns the largest resident memory so far in KiB, or nothing if the process has ended.
    pub fn peak_resident_kib(&self) -> Option<u64> {
        self.status_kib("VmHWM:")
    }

    /// Returns the resident memory that belongs to no file, in KiB, or nothing if the process has
    /// ended.
    pub fn anonymous_kib(&self) -> Option<u64> {
        self.status_kib("RssAnon:")
    }

    /// Returns the number of open file descriptors; 0 if the process has ended.
    pub fn descriptors(&self) -> usize {
        self.entries("fd")
    }

    /// Returns the number of TCP connections to a port of this host; 0 if the process has ended.
    pub fn connections_to(&self, port: u16) -> usize {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.id())).into_iter().flatten().flatten();
        let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        let sockets: BTreeSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", self.id())).unwrap_or_default();
        let peer = format!(":{port:04X}");
        let is_ours = |line: &&str| {
            // number, own address, address of the peer, … and in the tenth column the inode
            let columns: Vec<_> = line.split_whitespace().collect();
            matches!(columns[..], [_, _, to, _, _, _, _, _, _, inode, ..]
                if to.ends_with(&peer) && sockets.contains(&format!("socket:[{inode}]")))
        };
        table.lines().filter(is_ours).count()
    }

    /// Returns the number of threads; 0 if the process has ended.
    pub fn threads(&self) -> usize {
        self.entries("task")
    }

    /// Returns the kernel's limits for the process, as `/proc/PID/limits` lists them.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn limits(&self) -> String {
        self.proc_file("limits")
    }

    /// Returns the CPU time used so far, user and system, in the kernel's steps of 10 ms.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn cpu_time(&self) -> Duration {
        let stat = self.proc_file("stat");
        // The second field is the name in brackets and may contain spaces.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in /proc/PID/stat");
        let ticks = fields.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    fn status_kib(&self, field: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn entries(&self, directory: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{directory}", self.id())).map_or(0, Iterator::count)
    }

    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.id())).expect("read /proc of a running process")
    }

    /// Returns the process id in the form that signals take.
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
