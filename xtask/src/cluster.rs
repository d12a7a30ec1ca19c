//! `cargo xtask cluster up | down`: the tests' cluster, for a developer.
//!
//! The program `coffer-cluster` of the harness owns the servers and ends them on SIGTERM. These
//! commands start that program in the background, wait until it is ready, and end it.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cargo::{target_dir, workspace};
use crate::leftovers::RunFolder;

/// The binary of the harness that owns the servers.
pub(crate) const PROGRAM: &str = "coffer-cluster";

/// Starts the cluster, and prints where each server runs.
pub(crate) fn up() -> Result<()> {
    let state = ClusterState::new();
    if let Some(pid) = state.running() {
        bail!("a cluster runs already (process {pid}): `cargo xtask cluster down` ends it");
    }
    eprintln!("starting etcd, kube-apiserver, kube-controller-manager, OpenBao, the driver and coffer-csi …");
    let folder = RunFolder::new("cluster")?;
    let mut child = state.start(&folder).with_context(|| format!("cannot start {PROGRAM}"))?;
    match state.wait_until_ready(&mut child) {
        Ok(ready) => {
            println!("{ready}");
            Ok(())
        }
        Err(error) => {
            eprintln!("{}", fs::read_to_string(state.file("log")).unwrap_or_default());
            folder.clear();
            Err(error.context("the cluster did not come up"))
        }
    }
}

/// Ends the cluster, and waits until it has ended.
pub(crate) fn down() -> Result<()> {
    let state = ClusterState::new();
    let Some(pid) = state.running() else {
        let left = state.clear();
        if left.is_empty() {
            bail!("no cluster runs");
        }
        bail!(left_behind(&left));
    };
    let signalled = Command::new("kill").arg(pid.to_string()).status();
    if !signalled.is_ok_and(|status| status.success()) {
        bail!("process {pid} takes no signal");
    }
    while state.running().is_some() {
        sleep(Duration::from_millis(50));
    }
    let left = state.clear();
    if !left.is_empty() {
        bail!(left_behind(&left));
    }
    println!("the cluster has ended");
    Ok(())
}

fn left_behind(left: &[String]) -> String {
    format!("left behind, and removed now:\n{}", left.join("\n"))
}

/// The directory `target/cluster`. The program writes two files into it: `kubeconfig`, and `ready`
/// when all servers are, which says where each runs.
struct ClusterState(PathBuf);

impl ClusterState {
    fn new() -> Self {
        Self(workspace().join("target/cluster"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Removes what is left of the cluster's servers, and returns a line for each thing removed.
    fn clear(&self) -> Vec<String> {
        let folder = fs::read_to_string(self.file("folder")).ok();
        let folder = folder.and_then(|path| RunFolder::existing(path.into()));
        folder.map(|folder| folder.clear()).unwrap_or_default()
    }

    /// Returns the program's process id, if the program runs. The id alone is not enough: by now
    /// another program may have it.
    fn running(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.file("pid")).ok()?.trim().parse().ok()?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        program.file_name()?.to_string_lossy().starts_with(PROGRAM).then_some(pid)
    }

    fn start(&self, folder: &RunFolder) -> io::Result<Child> {
        // A cluster that ended without `down` may have left something.
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
            // In a process group of its own, Ctrl-C in this terminal does not reach it.
            .process_group(0)
            .spawn()?;
        fs::write(self.file("pid"), child.id().to_string())?;
        Ok(child)
    }

    fn wait_until_ready(&self, child: &mut Child) -> Result<String> {
        loop {
            if let Ok(ready) = fs::read_to_string(self.file("ready")) {
                return Ok(ready);
            }
            if let Some(status) = child.try_wait()? {
                bail!(status);
            }
            sleep(Duration::from_millis(50));
        }
    }
}
