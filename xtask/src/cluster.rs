//! `cargo xtask cluster up | down`: the tests' cluster, for a developer.
//!
//! A program of the harness owns the servers and ends them when it is told to end; here it is only started in the
//! background, waited for, and told.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::cargo::{target_dir, workspace};
use crate::leftovers::Folder;

const PROGRAM: &str = "coffer-cluster";

/// Starts it, and tells what runs where.
pub(crate) fn up() -> Result<(), String> {
    let state = State::new();
    if let Some(pid) = state.running() {
        return Err(format!("a cluster runs already (process {pid}): `cargo xtask cluster down` ends it"));
    }
    eprintln!("starting etcd, kube-apiserver, kube-controller-manager, OpenBao, the driver and coffer-csi …");
    let folder = Folder::new("cluster")?;
    let mut child = state.start(&folder).map_err(|e| format!("cannot start {PROGRAM}: {e}"))?;
    match state.wait_until_ready(&mut child) {
        Ok(ready) => {
            println!("{ready}");
            Ok(())
        }
        Err(reason) => {
            eprintln!("{}", fs::read_to_string(state.file("log")).unwrap_or_default());
            folder.clear();
            Err(format!("the cluster did not come up: {reason}"))
        }
    }
}

/// Ends it, and waits until it has ended.
pub(crate) fn down() -> Result<(), String> {
    let state = State::new();
    let Some(pid) = state.running() else {
        let left = state.clear();
        return Err(if left.is_empty() { "no cluster runs".to_owned() } else { left_behind(&left) });
    };
    let told = Command::new("kill").arg(pid.to_string()).status();
    if !told.is_ok_and(|status| status.success()) {
        return Err(format!("process {pid} takes no signal"));
    }
    while state.running().is_some() {
        sleep(Duration::from_millis(50));
    }
    let left = state.clear();
    if left.is_empty() {
        println!("the cluster has ended");
        return Ok(());
    }
    Err(left_behind(&left))
}

fn left_behind(left: &[String]) -> String {
    format!("left behind, and removed now:\n{}", left.join("\n"))
}

/// The directory `target/cluster`. Of its files the program writes `kubeconfig`, and `ready` when all servers are:
/// what runs where.
struct State(PathBuf);

impl State {
    fn new() -> Self {
        Self(workspace().join("target/cluster"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Removes what is left of its servers, and tells what that was.
    fn clear(&self) -> Vec<String> {
        let folder = fs::read_to_string(self.file("folder")).ok();
        let folder = folder.and_then(|path| Folder::existing(path.into()));
        folder.map(|folder| folder.clear()).unwrap_or_default()
    }

    /// The program's process, if it runs: a process of that id alone may be someone else's by now.
    fn running(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.file("pid")).ok()?.trim().parse().ok()?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        program.file_name()?.to_string_lossy().starts_with(PROGRAM).then_some(pid)
    }

    fn start(&self, folder: &Folder) -> io::Result<Child> {
        // What an earlier one left that was not ended by `down`.
        self.clear();
        let _ = fs::remove_dir_all(&self.0);
        fs::create_dir_all(&self.0)?;
        fs::write(self.file("folder"), folder.path().as_os_str().as_encoded_bytes())?;
        let log = File::create(self.file("log"))?;
        let child = Command::new(target_dir().join("debug").join(PROGRAM))
            .arg(&self.0)
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in this terminal is not for it.
            .process_group(0)
            .spawn()?;
        fs::write(self.file("pid"), child.id().to_string())?;
        Ok(child)
    }

    fn wait_until_ready(&self, child: &mut Child) -> Result<String, String> {
        loop {
            if let Ok(ready) = fs::read_to_string(self.file("ready")) {
                return Ok(ready);
            }
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                return Err(status.to_string());
            }
            sleep(Duration::from_millis(50));
        }
    }
}
