//! Runs images with runc, as a node would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;

/// A container of one image, with a read-only root file system.
#[derive(Debug)]
pub struct ImageContainer {
    root: PathBuf,
    entrypoint: Vec<String>,
    /// `UID:GID` from the image's configuration.
    pub user: String,
    mounts: Vec<Value>,
    environment: Vec<String>,
    dir: TempDir,
    id: String,
}

impl ImageContainer {
    /// Returns a container over an image's root file system, with the image's configuration.
    ///
    /// # Panics
    /// If the image has no entrypoint or no user.
    pub(crate) fn new(root: PathBuf, config: &Value) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(1);
        Self {
            root,
            entrypoint: serde_json::from_value(config["Entrypoint"].clone()).expect("an entrypoint"),
            user: config["User"].as_str().expect("a user").to_owned(),
            mounts: vec![json!({ "destination": "/proc", "type": "proc", "source": "proc" })],
            environment: Vec::new(),
            dir: tempfile::tempdir().expect("a temporary directory"),
            id: format!("coffer-test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Lets qemu run the entrypoint, which is of another architecture. This machine's kernel need
    /// not know of it.
    pub(crate) fn emulated(mut self) -> Self {
        self.entrypoint.insert(0, "/qemu".to_owned());
        // With a setting of the allocator the program does not execute itself again, which takes a
        // kernel that knows of qemu.
        self.environment.push("MALLOC_ARENA_MAX=1".to_owned());
        self.mount(Path::new("/usr/bin/qemu-aarch64-static"), "/qemu", "ro")
    }

    /// Mounts a file or directory of this machine, with access `ro` or `rw`.
    #[must_use]
    pub fn mount(mut self, source: &Path, destination: &str, access: &str) -> Self {
        let options = ["rbind", access];
        self.mounts.push(json!({ "destination": destination, "source": source, "options": options }));
        self
    }

    /// Runs the entrypoint with these arguments, and waits for its end.
    ///
    /// # Panics
    /// If runc cannot be run.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments, &[]).output().expect("runc runs")
    }

    /// Starts the entrypoint with these arguments and environment variables.
    pub fn start(&self, arguments: &[&str], environment: &[String]) -> Process {
        Process::start("runc", &mut self.command(arguments, environment), self.dir.path().join("log"))
    }

    /// Returns the runc command with the chart's security settings: the image's user, no
    /// capabilities, no new privileges, a read-only root file system. The network is this
    /// machine's, where the servers are.
    fn command(&self, arguments: &[&str], environment: &[String]) -> Command {
        let ids = self.user.split(':').map(|id| id.parse().expect("a number"));
        let [uid, gid]: [u32; 2] = ids.collect::<Vec<_>>().try_into().expect("UID:GID");
        let command: Vec<&str> =
            self.entrypoint.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        let environment = [&self.environment[..], environment].concat();
        let none: [&str; 0] = [];
        let capabilities = json!({ "bounding": none, "effective": none, "permitted": none, "inheritable": none, "ambient": none });
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": uid, "gid": gid }, "args": command, "env": environment, "cwd": "/",
                "capabilities": capabilities, "noNewPrivileges": true,
            },
            "root": { "path": self.root, "readonly": true },
            "mounts": self.mounts,
            "linux": { "namespaces": [{ "type": "mount" }, { "type": "pid" }] },
        });
        fs::write(self.dir.path().join("config.json"), config.to_string()).expect("write config.json");
        let mut command = self.runc();
        command.args(["run", "--bundle"]).arg(self.dir.path()).arg(&self.id);
        command
    }

    fn runc(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.dir.path().join("runc"));
        command
    }
}

impl Drop for ImageContainer {
    fn drop(&mut self) {
        // The container may have ended already.
        let _ = self.runc().args(["delete", "--force", &self.id]).stderr(Stdio::null()).status();
    }
}
