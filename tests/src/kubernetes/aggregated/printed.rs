//! What kubectl says, whether it failed or not.

use std::ffi::OsStr;
use std::process::ExitStatus;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::ApiSetup;
use crate::kubernetes::programs::ServerProgram;
use crate::wait::CEILING;

/// What kubectl printed.
#[derive(Debug)]
pub struct KubectlOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
}

impl ApiSetup {
    /// Runs the administrator's kubectl and gives what it printed, whether it failed or not.
    ///
    /// # Panics
    /// When it cannot be run, or does not end.
    pub async fn kubectl(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> KubectlOutput {
        let mut command = Command::new(ServerProgram::Kubectl.path());
        command.args(arguments);
        self.printed(command).await
    }

    /// The same with a line as it is typed into a shell.
    ///
    /// # Panics
    /// When it cannot be run, or does not end.
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
    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// What it printed where it failed.
    ///
    /// # Panics
    /// When it did not fail.
    pub fn refused(&self) -> &str {
        assert!(!self.status.success(), "not refused: {self:?}");
        &self.err
    }

    /// What it printed where it succeeded.
    ///
    /// # Panics
    /// When it failed.
    pub fn shown(&self) -> &str {
        assert!(self.status.success(), "failed: {self:?}");
        &self.out
    }
}
