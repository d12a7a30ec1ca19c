//! kubectl, as a user runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::kubeconfig::Kubeconfig;
use super::programs::ServerProgram;
use crate::wait::CEILING;

/// kubectl with one user's kubeconfig.
#[derive(Debug)]
pub struct Kubectl {
    dir: TempDir,
}

/// What kubectl printed, and its exit status.
#[derive(Debug)]
pub struct KubectlOutput {
    /// The command line.
    pub command: String,
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Kubectl {
    /// Creates a kubectl for that user.
    ///
    /// # Panics
    /// If the kubeconfig cannot be written.
    pub fn new(user: &Kubeconfig) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        user.write(&dir.path().join("kubeconfig"));
        Self { dir }
    }

    /// Returns the path of the kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Runs kubectl, and returns what it printed.
    ///
    /// # Panics
    /// If kubectl fails.
    pub async fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = self.try_run(arguments).await;
        output.shown();
        output.out
    }

    /// Runs kubectl, which may fail.
    ///
    /// # Panics
    /// If kubectl cannot be run, or does not end.
    pub async fn try_run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> KubectlOutput {
        let mut command = Command::new(ServerProgram::Kubectl.path());
        command.args(arguments);
        self.output(command).await
    }

    /// Runs a command line in a shell that finds kubectl.
    ///
    /// # Panics
    /// If the shell cannot be run, or does not end.
    pub async fn shell(&self, line: &str) -> KubectlOutput {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]);
        self.output(command).await
    }

    /// Applies these files as they are.
    pub async fn apply(&self, files: impl IntoIterator<Item = impl AsRef<Path>>) {
        let mut arguments = vec!["apply".into()];
        for file in files {
            arguments.extend(["--filename".into(), file.as_ref().as_os_str().to_owned()]);
        }
        self.run(arguments).await;
    }

    /// Returns whether kube-apiserver reports the API of coffer-api-server as available.
    pub async fn api_is_available(&self) -> bool {
        let path = "-o=jsonpath={.status.conditions[?(@.type=='Available')].status}";
        self.try_run(["get", "apiservice", "v1alpha1.custom.secrets.k8s.io", path]).await.out == "True"
    }

    async fn output(&self, mut command: Command) -> KubectlOutput {
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", ServerProgram::Kubectl.path().parent().expect("a folder"))
            .env("KUBECONFIG", self.kubeconfig())
            .kill_on_drop(true);
        // a watch that is not refused would never end
        let output =
            timeout(2 * CEILING, command.output()).await.expect("kubectl ends").expect("kubectl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        KubectlOutput {
            command: format!("{:?}", command.as_std()),
            status: output.status,
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

impl KubectlOutput {
    /// Returns standard output as JSON.
    ///
    /// # Panics
    /// If standard output is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Returns standard error of a failed command.
    ///
    /// # Panics
    /// If the command succeeded.
    pub fn refused(&self) -> &str {
        assert!(!self.status.success(), "not refused: {self:?}");
        &self.err
    }

    /// Returns standard output of a successful command.
    ///
    /// # Panics
    /// If the command failed.
    pub fn shown(&self) -> &str {
        assert!(self.status.success(), "failed: {self:?}");
        &self.out
    }
}
