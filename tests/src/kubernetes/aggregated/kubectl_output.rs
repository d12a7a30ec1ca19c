//! Runs kubectl where it may fail.

use std::ffi::OsStr;
use std::process::ExitStatus;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::ApiSetup;
use crate::kubernetes::programs::ServerProgram;
use crate::wait::CEILING;

/// What kubectl printed, and its exit status.
#[derive(Debug)]
pub struct KubectlOutput {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl ApiSetup {
    /// Runs the administrator's kubectl, which may fail.
    ///
    /// # Panics
    /// If kubectl cannot be run, or does not end.
    pub async fn kubectl(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> KubectlOutput {
        let mut command = Command::new(ServerProgram::Kubectl.path());
        command.args(arguments);
        self.printed(command).await
    }

    /// Runs a command line in a shell with the administrator's kubectl.
    ///
    /// # Panics
    /// If the shell cannot be run, or does not end.
    pub async fn shell(&self, line: &str) -> KubectlOutput {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]);
        self.printed(command).await
    }

    async fn printed(&self, mut command: Command) -> KubectlOutput {
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", ServerProgram::Kubectl.path().parent().expect("a folder"))
            .env("KUBECONFIG", self.cluster.kubectl().kubeconfig())
            .kill_on_drop(true);
        // a watch that is not refused would never end
        let output = timeout(CEILING, command.output()).await.expect("kubectl ends").expect("kubectl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        KubectlOutput { status: output.status, out: text(&output.stdout), err: text(&output.stderr) }
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
