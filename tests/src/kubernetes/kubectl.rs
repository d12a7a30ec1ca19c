//! kubectl, as a user runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use super::kubeconfig::Kubeconfig;
use super::programs::ServerProgram;

/// kubectl with one user's kubeconfig.
#[derive(Debug)]
pub struct Kubectl {
    dir: TempDir,
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
        self.try_run(arguments).await.unwrap_or_else(|complaint| panic!("{complaint}"))
    }

    /// Runs kubectl, and returns what it printed.
    ///
    /// # Errors
    /// The command and what it printed, if kubectl fails.
    ///
    /// # Panics
    /// If kubectl cannot be run.
    pub async fn try_run(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<String, String> {
        let mut command = Command::new(ServerProgram::Kubectl.path());
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("KUBECONFIG", self.kubeconfig())
            .args(arguments)
            .kill_on_drop(true);
        let output = command.output().await.expect("kubectl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() {
            Ok(out)
        } else {
            Err(format!("{:?} failed: {out}{err}", command.as_std()))
        }
    }

    /// Applies these files as they are.
    pub async fn apply(&self, files: impl IntoIterator<Item = impl AsRef<Path>>) {
        let mut arguments = vec!["apply".into()];
        for file in files {
            arguments.extend(["--filename".into(), file.as_ref().as_os_str().to_owned()]);
        }
        self.run(arguments).await;
    }
}
