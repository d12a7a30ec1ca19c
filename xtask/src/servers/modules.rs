//! The Go modules in `tests/servers/`, and the programs and manifests that come from each.

/// A program that is built from a Go module, or a driver's manifests, which come with the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    Kubectl,
    Driver16,
    Driver16Manifests,
    Driver15,
    Driver15Manifests,
    Helm4,
    Helm3,
    /// Calls Mount through grpc-go, as the driver does: for the benchmark.
    MountLoad,
    /// Answers each Mount by one GET: the benchmark's reference.
    VaultRelay,
    /// Prints which proxy a Go program uses.
    ProxyRules,
    /// Servers with certificates of many kinds, each tried with Go's own client.
    GoTlsCases,
    /// Renders templates as consul-template does.
    TemplateCases,
}

/// What every cluster of the harness needs (`tests/src/kubernetes/cluster.rs`).
pub(crate) const CLUSTER: [Server; 5] = [
    Server::Etcd,
    Server::KubeApiserver,
    Server::Kubectl,
    Server::Driver16Manifests,
    Server::Driver15Manifests,
];

/// What the tests need.
pub(crate) const TESTS: [Server; 13] = [
    Server::Etcd,
    Server::Driver16,
    Server::Driver16Manifests,
    Server::Driver15,
    Server::Driver15Manifests,
    Server::KubeApiserver,
    Server::KubeControllerManager,
    Server::Kubectl,
    Server::Helm4,
    Server::Helm3,
    Server::ProxyRules,
    Server::GoTlsCases,
    Server::TemplateCases,
];

/// A folder of `tests/servers/`: a Go module that pins the versions of programs.
pub(super) struct GoModule {
    pub(super) folder: &'static str,
    pub(super) programs: &'static [GoProgram],
    /// The Go module that the programs come from. Its version is in the folder's go.mod.
    pub(super) source: &'static str,
    /// The programs' variables that hold their version.
    pub(super) version_variables: &'static [(&'static str, VersionPart)],
    /// Files in `tests/servers/`, beside go.mod and go.sum, that the programs are built from.
    pub(super) own_sources: &'static [&'static str],
    /// The name by which a command asks for the manifests in the source's folder `deploy`.
    pub(super) manifests: Option<Server>,
}

pub(super) struct GoProgram {
    pub(super) server: Server,
    /// The program's file name, which Go derives from the package.
    pub(super) name: &'static str,
    pub(super) package: &'static str,
    /// Whether `KUBEBUILDER_ASSETS` has this program.
    pub(super) is_asset: bool,
}

/// The part of a version `v1.36.2` that a variable holds.
pub(super) enum VersionPart {
    Whole,
    Major,
    Minor,
}

pub(super) const MODULES: [GoModule; 10] = [
    GoModule {
        folder: "etcd",
        programs: &[asset(Server::Etcd, "server", "go.etcd.io/etcd/server/v3")],
        source: "go.etcd.io/etcd/server/v3",
        version_variables: &[],
        own_sources: &[],
        manifests: None,
    },
    GoModule {
        folder: "driver-1.6",
        programs: &[program(Server::Driver16, "secrets-store-csi-driver", DRIVER_PROGRAM)],
        source: DRIVER,
        version_variables: DRIVER_VERSION,
        own_sources: MLOG,
        manifests: Some(Server::Driver16Manifests),
    },
    GoModule {
        folder: "driver-1.5",
        programs: &[program(Server::Driver15, "secrets-store-csi-driver", DRIVER_PROGRAM)],
        source: DRIVER,
        version_variables: DRIVER_VERSION,
        own_sources: MLOG,
        manifests: Some(Server::Driver15Manifests),
    },
    GoModule {
        folder: "kubernetes",
        programs: &[
            asset(Server::KubeApiserver, "kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            program(
                Server::KubeControllerManager,
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            asset(Server::Kubectl, "kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ],
        source: "k8s.io/kubernetes",
        version_variables: &[
            ("k8s.io/component-base/version.gitVersion", VersionPart::Whole),
            ("k8s.io/component-base/version.gitMajor", VersionPart::Major),
            ("k8s.io/component-base/version.gitMinor", VersionPart::Minor),
        ],
        own_sources: &[],
        manifests: None,
    },
    GoModule {
        folder: "helm-4",
        programs: &[program(Server::Helm4, "helm", "helm.sh/helm/v4/cmd/helm")],
        source: "helm.sh/helm/v4",
        version_variables: &[("helm.sh/helm/v4/internal/version.version", VersionPart::Whole)],
        own_sources: &[],
        manifests: None,
    },
    GoModule {
        folder: "helm-3",
        programs: &[program(Server::Helm3, "helm", "helm.sh/helm/v3/cmd/helm")],
        source: "helm.sh/helm/v3",
        version_variables: &[("helm.sh/helm/v3/internal/version.version", VersionPart::Whole)],
        own_sources: &[],
        manifests: None,
    },
    GoModule {
        folder: "grpc-go",
        programs: &[
            program(Server::MountLoad, "mount-load", "./mount-load"),
            program(Server::VaultRelay, "vault-relay", "./vault-relay"),
        ],
        source: "google.golang.org/grpc",
        version_variables: &[],
        own_sources: &["grpc-go/mount-load/main.go", "grpc-go/vault-relay/main.go"],
        manifests: None,
    },
    GoModule {
        folder: "go-proxy",
        programs: &[program(Server::ProxyRules, "proxy-rules", "./proxy-rules")],
        source: "golang.org/x/net",
        version_variables: &[],
        own_sources: &["go-proxy/proxy-rules/main.go"],
        manifests: None,
    },
    GoModule {
        folder: "go-template",
        programs: &[program(Server::TemplateCases, "template-cases", "./template-cases")],
        source: "github.com/hashicorp/consul-template",
        version_variables: &[],
        own_sources: &["go-template/template-cases/main.go"],
        manifests: None,
    },
    GoModule {
        folder: "go-tls",
        programs: &[program(Server::GoTlsCases, "go-tls-cases", "./go-tls-cases")],
        source: "github.com/hashicorp/go-rootcerts",
        version_variables: &[],
        own_sources: &[
            "go-tls/go-tls-cases/cases.go",
            "go-tls/go-tls-cases/certificates.go",
            "go-tls/go-tls-cases/chains.go",
            "go-tls/go-tls-cases/files.go",
            "go-tls/go-tls-cases/main.go",
        ],
        manifests: None,
    },
];

const DRIVER: &str = "sigs.k8s.io/secrets-store-csi-driver";
const DRIVER_PROGRAM: &str = "sigs.k8s.io/secrets-store-csi-driver/cmd/secrets-store-csi-driver";
const DRIVER_VERSION: &[(&str, VersionPart)] =
    &[("sigs.k8s.io/secrets-store-csi-driver/pkg/version.BuildVersion", VersionPart::Whole)];

/// The replacement of a module that both drivers use and nobody can download.
const MLOG: &[&str] = &["mlog/go.mod", "mlog/mlog.go"];

const fn program(server: Server, name: &'static str, package: &'static str) -> GoProgram {
    GoProgram { server, name, package, is_asset: false }
}

const fn asset(server: Server, name: &'static str, package: &'static str) -> GoProgram {
    GoProgram { server, name, package, is_asset: true }
}
