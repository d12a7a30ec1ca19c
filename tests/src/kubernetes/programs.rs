//! Finds the programs of the servers, which `cargo xtask servers` builds from the Go modules in
//! `tests/servers/`.

use std::env;
use std::fmt;
use std::path::PathBuf;

use super::helm::Helm;
use crate::binaries::workspace;

/// The two generations of the Secrets Store CSI driver in use, which call providers differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverGeneration {
    /// 1.5: rotates by itself, and sends the socket's path as `:authority`.
    V1_5,
    /// 1.6: rotates when kubelet publishes again.
    V1_6,
}

impl DriverGeneration {
    /// All generations.
    pub const ALL: [Self; 2] = [Self::V1_5, Self::V1_6];

    fn folder(self) -> &'static str {
        match self {
            Self::V1_5 => "driver-1.5",
            Self::V1_6 => "driver-1.6",
        }
    }

    /// Returns the folder of the driver's manifests, from its own module.
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

/// A program that was built, or that `KUBEBUILDER_ASSETS` provides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerProgram {
    Etcd,
    ApiServer,
    ControllerManager,
    Kubectl,
    Driver(DriverGeneration),
    Helm(Helm),
    ProxyRules,
    GoTlsCases,
    TemplateCases,
}

impl ServerProgram {
    /// Returns the program's path.
    ///
    /// # Panics
    /// If the program is not built.
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
            Self::ProxyRules => ("go-proxy", "proxy-rules", None),
            Self::GoTlsCases => ("go-tls", "go-tls-cases", None),
            Self::TemplateCases => ("go-template", "template-cases", None),
        };
        match (env::var_os("KUBEBUILDER_ASSETS"), asset) {
            (Some(assets), Some(asset)) => PathBuf::from(assets).join(asset),
            _ => built(folder, name),
        }
    }
}

/// Returns the path of kubectl, for what [`super::Kubectl`] does not do.
///
/// # Panics
/// If kubectl is not built.
pub fn kubectl_program() -> PathBuf {
    ServerProgram::Kubectl.path()
}

/// Returns the path of the program that prints which proxy a Go program uses.
///
/// # Panics
/// If it is not built.
pub fn proxy_rules_program() -> PathBuf {
    ServerProgram::ProxyRules.path()
}

/// Returns the path of the program that renders templates as consul-template does.
///
/// # Panics
/// If it is not built.
pub(crate) fn template_cases_program() -> PathBuf {
    ServerProgram::TemplateCases.path()
}

fn servers() -> PathBuf {
    workspace().join("target/servers")
}
