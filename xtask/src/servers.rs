//! The servers of the tests: etcd, Kubernetes and two generations of the CSI driver, and two of Helm, built from their Go
//! modules in `tests/servers/` into `target/servers/`, once.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::workspace;
use crate::step;

/// A Go module that names programs.
struct Module {
    folder: &'static str,
    programs: &'static [Program],
    /// The module that the programs come from, and the variables of theirs that hold its version.
    source: &'static str,
    version_variables: &'static [(&'static str, Part)],
    /// Files of other folders that belong to it.
    shared: &'static [&'static str],
    /// Whether the source's manifests are needed too.
    manifests: bool,
}

struct Program {
    name: &'static str,
    package: &'static str,
    /// Its name in `KUBEBUILDER_ASSETS`, if that has it.
    asset: Option<&'static str>,
}

/// What of a version `v1.36.2` a variable holds.
enum Part {
    Whole,
    Major,
    Minor,
}

const DRIVER: &str = "sigs.k8s.io/secrets-store-csi-driver";

const MODULES: [Module; 6] = [
    Module {
        folder: "etcd",
        programs: &[Program { name: "server", package: "go.etcd.io/etcd/server/v3", asset: Some("etcd") }],
        source: "go.etcd.io/etcd/server/v3",
        version_variables: &[],
        shared: &[],
        manifests: false,
    },
    driver("driver-1.6"),
    driver("driver-1.5"),
    Module {
        folder: "kubernetes",
        programs: &[
            kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", Some("kube-apiserver")),
            kubernetes("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", None),
            kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl", Some("kubectl")),
        ],
        source: "k8s.io/kubernetes",
        version_variables: &[
            ("k8s.io/component-base/version.gitVersion", Part::Whole),
            ("k8s.io/component-base/version.gitMajor", Part::Major),
            ("k8s.io/component-base/version.gitMinor", Part::Minor),
        ],
        shared: &[],
        manifests: false,
    },
    Module {
        folder: "helm-4",
        programs: &[Program { name: "helm", package: "helm.sh/helm/v4/cmd/helm", asset: None }],
        source: "helm.sh/helm/v4",
        version_variables: &[("helm.sh/helm/v4/internal/version.version", Part::Whole)],
        shared: &[],
        manifests: false,
    },
    Module {
        folder: "helm-3",
        programs: &[Program { name: "helm", package: "helm.sh/helm/v3/cmd/helm", asset: None }],
        source: "helm.sh/helm/v3",
        version_variables: &[("helm.sh/helm/v3/internal/version.version", Part::Whole)],
        shared: &[],
        manifests: false,
    },
];

const fn driver(folder: &'static str) -> Module {
    Module {
        folder,
        programs: &[Program {
            name: "secrets-store-csi-driver",
            package: "sigs.k8s.io/secrets-store-csi-driver/cmd/secrets-store-csi-driver",
            asset: None,
        }],
        source: DRIVER,
        version_variables: &[("sigs.k8s.io/secrets-store-csi-driver/pkg/version.BuildVersion", Part::Whole)],
        shared: &["mlog/go.mod", "mlog/mlog.go"],
        manifests: true,
    }
}

const fn kubernetes(name: &'static str, package: &'static str, asset: Option<&'static str>) -> Program {
    Program { name, package, asset }
}

/// Makes sure that all of them are there. `tests/src/kubernetes/programs.rs` finds them by their folder's name.
pub(crate) fn bring() -> Result<(), String> {
    MODULES.iter().try_for_each(Module::bring)
}

/// Makes sure that the one of that folder is there.
pub(crate) fn bring_one(folder: &str) -> Result<(), String> {
    MODULES.iter().filter(|module| module.folder == folder).try_for_each(Module::bring)
}

impl Module {
    fn bring(&self) -> Result<(), String> {
        let wanted: Vec<_> = self.programs.iter().filter(|program| !program.is_supplied()).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let key = self.key()?;
        let place = servers().join(&key);
        let missing: Vec<_> = wanted.iter().filter(|program| !place.join(program.name).is_file()).collect();
        if !missing.is_empty() {
            self.build(&place, missing.iter().map(|program| program.package))?;
        }
        if self.manifests && !place.join("deploy").is_dir() {
            let found = self.copy_manifests(&place);
            found.map_err(|e| format!("the manifests of {}: {e}", self.source))?;
        }
        let linked = link(&servers().join(self.folder), Path::new(&key));
        linked.map_err(|e| format!("cannot link target/servers/{}: {e}", self.folder))
    }

    /// The first digits of a hash over what the programs are made from.
    fn key(&self) -> Result<String, String> {
        let own = ["go.mod", "go.sum"].map(|file| self.directory().join(file));
        let shared = self.shared.iter().map(|file| sources().join(file));
        let hashed = own.into_iter().chain(shared).map(fs::read).collect::<io::Result<Vec<_>>>();
        let digest = hashed.and_then(|files| sha256(&files.concat()));
        let digest = digest.map_err(|e| format!("cannot hash tests/servers/{}: {e}", self.folder))?;
        digest.get(..16).map(str::to_owned).ok_or_else(|| "sha256sum printed no hash".to_owned())
    }

    fn build(&self, place: &Path, packages: impl Iterator<Item = &'static str>) -> Result<(), String> {
        if go(&self.directory()).arg("version").output().is_err() {
            return Err("the tests' servers are built with Go 1.26 or later: https://go.dev/dl".to_owned());
        }
        let mut command = go(&self.directory());
        command
            .env("CGO_ENABLED", "0")
            .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", &self.link_flags()?])
            // The slash makes Go create a directory.
            .arg("-o")
            .arg(place.join(""))
            .args(packages);
        let name = format!("building {} {} with Go (once)", self.folder, self.version()?);
        step::run(&name, &mut command)
    }

    fn link_flags(&self) -> Result<String, String> {
        let version = self.version()?;
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let mut flags = "-s -w".to_owned();
        for (variable, part) in self.version_variables {
            let value = match part {
                Part::Whole => version.as_str(),
                Part::Major => major,
                Part::Minor => minor,
            };
            flags.push_str(&format!(" -X {variable}={value}"));
        }
        Ok(flags)
    }

    /// The source's version, as go.mod requires it.
    fn version(&self) -> Result<String, String> {
        let text = fs::read_to_string(self.directory().join("go.mod")).map_err(|e| e.to_string())?;
        let mut words = text.lines().map(|line| line.trim_start_matches("require").split_whitespace());
        let found = words.find_map(|mut words| (words.next() == Some(self.source)).then(|| words.next())?);
        found.map(str::to_owned).ok_or_else(|| {
            format!("tests/servers/{}/go.mod requires no version of {}", self.folder, self.source)
        })
    }

    fn copy_manifests(&self, place: &Path) -> io::Result<()> {
        let mut list = go(&self.directory());
        let listed =
            list.args(["list", "-m", "-f", "{{.Dir}}", self.source]).stderr(Stdio::inherit()).output()?;
        let source = PathBuf::from(String::from_utf8_lossy(&listed.stdout).trim());
        // Renamed when whole: an interrupted copy must not count as one.
        let (whole, part) = (place.join("deploy"), place.join("deploy.part"));
        fs::create_dir_all(&part)?;
        for file in fs::read_dir(source.join("deploy"))? {
            let file = file?;
            fs::write(part.join(file.file_name()), fs::read(file.path())?)?;
        }
        fs::rename(part, whole)
    }

    fn directory(&self) -> PathBuf {
        sources().join(self.folder)
    }
}

impl Program {
    fn is_supplied(&self) -> bool {
        self.asset.is_some() && std::env::var_os("KUBEBUILDER_ASSETS").is_some()
    }
}

fn sources() -> PathBuf {
    workspace().join("tests/servers")
}

fn servers() -> PathBuf {
    workspace().join("target/servers")
}

fn go(directory: &Path) -> Command {
    let mut command = Command::new("go");
    // What the machine's user has set for their own Go work has no say here.
    command.current_dir(directory).env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    command
}

fn sha256(bytes: &[u8]) -> io::Result<String> {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(bytes)?;
    }
    let output = child.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes `link` point to `target`, if it does not.
fn link(link: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    match fs::remove_file(link) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => symlink(target, link),
    }
}
