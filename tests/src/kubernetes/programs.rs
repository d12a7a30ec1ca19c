//! Where the servers' programs lie. `cargo xtask servers` builds them from the Go modules in `tests/servers/`.

use std::env;
use std::fmt;
use std::path::PathBuf;

use super::helm::Helm;
use crate::binaries::workspace;

/// The two lines of the Secrets Store CSI driver that are in use, and differ in how they call a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverGeneration {
    /// 1.5: rotates by itself, and names the socket's path as `:authority`.
    V1_5,
    /// 1.6: rotates when kubelet publishes again.
    V1_6,
}

impl DriverGeneration {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V1_5, Self::V1_6];

    fn folder(self) -> &'static str {
        match self {
            Self::V1_5 => "driver-1.5",
            Self::V1_6 => "driver-1.6",
        }
    }

    /// The manifests that the driver is deployed with, from its own module.
    pub(crate) fn manifests(self) -> PathBuf {
        servers().join(self.folder()).join("deploy")
    }
}

impl fmt::Display for DriverGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_5 => "1.5",
            Self::V1_6 => "1.6",
        })
    }
}

/// A program that was built, or brought along by `KUBEBUILDER_ASSETS`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerProgram {
    Etcd,
    ApiServer,
    ControllerManager,
    Kubectl,
    Driver(DriverGeneration),
    Helm(Helm),
}

impl ServerProgram {
    /// Its path.
    ///
    /// # Panics
    /// When it is not there.
    pub(crate) fn path(self) -> PathBuf {
        let path = self.place();
        assert!(path.is_file(), "{} is not built: run `cargo xtask servers`", path.display());
        path
    }

    fn place(self) -> PathBuf {
        let built = |folder: &str, name: &str| servers().join(folder).join(name);
        // The Go module of etcd calls its program `server`.
        let (folder, name, asset) = match self {
            Self::Etcd => ("etcd", "server", Some("etcd")),
            Self::ApiServer => ("kubernetes", "kube-apiserver", Some("kube-apiserver")),
            Self::ControllerManager => ("kubernetes", "kube-controller-manager", None),
            Self::Kubectl => ("kubernetes", "kubectl", Some("kubectl")),
            Self::Driver(generation) => (generation.folder(), "secrets-store-csi-driver", None),
            Self::Helm(Helm::V3) => ("helm-3", "helm", None),
            Self::Helm(Helm::V4) => ("helm-4", "helm", None),
        };
        match (env::var_os("KUBEBUILDER_ASSETS"), asset) {
            (Some(assets), Some(asset)) => PathBuf::from(assets).join(asset),
            _ => built(folder, name),
        }
    }
}

/// kubectl itself, for what [`super::Kubectl`] does not do.
///
/// # Panics
/// When it is not there.
pub fn kubectl_program() -> PathBuf {
    ServerProgram::Kubectl.path()
}

fn servers() -> PathBuf {
    workspace().join("target/servers")
}
