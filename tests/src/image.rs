//! Builds the images with buildah from the Containerfile, and indexes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::binaries::{coffer_binary, workspace};
use crate::image_container::ImageContainer;

/// A container store of its own.
#[derive(Debug)]
pub struct ImageStore(TempDir);

/// The built images of one architecture.
#[derive(Debug)]
pub struct Images {
    store: Arc<ImageStore>,
    /// The architecture by Go's name.
    architecture: String,
    /// Whether the binaries need this machine's libraries: the binaries that tests use are not
    /// static.
    need_libraries: bool,
}

/// An image of one architecture in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedImage {
    /// The digest of its manifest.
    pub digest: String,
    /// The bytes that a node downloads.
    pub size: u64,
}

/// The names of the images.
pub const IMAGES: [&str; 2] = ["coffer-csi", "coffer-api-server"];

/// Returns why images cannot be built and run on this machine, if they cannot.
pub fn images_forbidden() -> Option<&'static str> {
    let runs = |tool| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !["buildah", "runc"].into_iter().all(runs) {
        return Some("needs the packages buildah and runc");
    }
    crate::kubernetes::mounts_forbidden()
}

impl ImageStore {
    /// Returns an empty store.
    ///
    /// # Panics
    /// If there is no room for it.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(tempfile::tempdir().expect("a temporary directory")))
    }

    /// Writes one index of an image for these architectures as an OCI archive. Returns its digest.
    ///
    /// # Panics
    /// If buildah refuses.
    pub fn index(&self, name: &str, images: &[Images], file: &Path) -> String {
        let list = format!("localhost/{name}-index:{}", env!("CARGO_PKG_VERSION"));
        self.buildah(&["manifest", "create", &list]);
        for one in images {
            self.buildah(&["manifest", "add", &list, &one.reference(name)]);
        }
        let digest = self.0.path().join("digest");
        // buildah would add to an archive that is there.
        let _ = fs::remove_file(file);
        let archive = format!("oci-archive:{}:{}", file.display(), env!("CARGO_PKG_VERSION"));
        let digest_flag = format!("--digestfile={}", digest.display());
        self.buildah(&["manifest", "push", "--all", "--format=oci", &digest_flag, &list, &archive]);
        fs::read_to_string(digest).expect("the digest")
    }

    fn buildah(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("buildah");
        command
            .args(["--storage-driver=vfs", "--root"])
            .arg(self.0.path().join("root"))
            .arg("--runroot")
            .arg(self.0.path().join("run"))
            .args(arguments);
        succeeded(&mut command)
    }
}

impl Images {
    /// Builds both images from the binaries under test.
    ///
    /// # Panics
    /// If an image cannot be built.
    pub fn under_test() -> Self {
        let images = Self {
            store: ImageStore::new(),
            architecture: host_architecture().to_owned(),
            need_libraries: true,
        };
        images.build(&images.binaries_under_test());
        images
    }

    /// Builds both images of an architecture from the static binaries in `place/ARCHITECTURE/out/`.
    ///
    /// # Panics
    /// If an image cannot be built.
    pub fn shipped(store: &Arc<ImageStore>, place: &Path, architecture: &str) -> Self {
        let images =
            Self { store: Arc::clone(store), architecture: architecture.to_owned(), need_libraries: false };
        images.build(&place.join(architecture));
        images
    }

    /// Returns Go's name of the architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    fn build(&self, place: &Path) {
        for name in IMAGES {
            self.build_one(name, place);
        }
    }

    fn reference(&self, name: &str) -> String {
        format!("localhost/{name}:{}-{}", env!("CARGO_PKG_VERSION"), self.architecture)
    }

    /// Returns what `buildah inspect` prints for an image.
    pub fn inspect(&self, name: &str) -> Value {
        let text = self.store.buildah(&["inspect", "--type=image", &self.reference(name)]);
        serde_json::from_str(&text).expect("JSON of buildah")
    }

    /// Returns the digest of an image's configuration, which has those of the uncompressed layers.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn id(&self, name: &str) -> String {
        self.inspect(name)["FromImageID"].as_str().expect("an image has an ID").to_owned()
    }

    /// Returns the size in bytes of an image's files, uncompressed.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn size(&self, name: &str) -> u64 {
        size_below(Path::new(&self.mounted(name)))
    }

    /// Returns what a registry has of an image: compressed layers.
    ///
    /// # Panics
    /// If buildah refuses.
    pub fn pushed(&self, name: &str) -> PushedImage {
        let place = self.store.0.path().join(format!("pushed-{name}-{}", self.architecture));
        let digest = place.with_extension("digest");
        let (digest_flag, to) =
            (format!("--digestfile={}", digest.display()), format!("oci:{}", place.display()));
        self.store.buildah(&["push", &digest_flag, &self.reference(name), &to]);
        let digest = fs::read_to_string(digest).expect("the digest");
        PushedImage { digest, size: size_below(&place.join("blobs")) }
    }

    /// Returns the text of a file in an image.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn file(&self, name: &str, path: &str) -> String {
        fs::read_to_string(Path::new(&self.mounted(name)).join(path)).expect("a file of the image")
    }

    /// Returns a container of an image, not yet running.
    pub fn container(&self, name: &str) -> ImageContainer {
        let config = self.inspect(name)["OCIv1"]["config"].clone();
        let mut container = ImageContainer::new(self.mounted(name).into(), &config);
        if self.architecture != host_architecture() {
            container = container.emulated();
        }
        // As kubelet mounts them into every container.
        for file in ["/etc/hosts", "/etc/resolv.conf"] {
            container = container.mount(Path::new(file), file, "ro");
        }
        if self.need_libraries {
            let directories =
                ["/lib", "/lib64", "/usr/lib"].into_iter().filter(|dir| Path::new(dir).is_dir());
            container =
                directories.fold(container, |container, dir| container.mount(Path::new(dir), dir, "ro"));
        }
        container
    }

    /// Returns the root of an image that holds the whole build context.
    pub fn copied_context(&self) -> String {
        let file = self.store.0.path().join("Context");
        fs::write(&file, "FROM scratch\nCOPY . /\n").expect("write a file");
        let (file, context) = (file.display().to_string(), workspace().display().to_string());
        self.store.buildah(&[
            "build",
            "--isolation=chroot",
            "--file",
            &file,
            "--tag=localhost/context",
            &context,
        ]);
        let container = self.store.buildah(&["from", "localhost/context"]);
        self.store.buildah(&["mount", container.trim()]).trim().to_owned()
    }

    /// Collects the binaries under test, in place of the build stage's.
    fn binaries_under_test(&self) -> PathBuf {
        let place = self.store.0.path().join("binaries");
        let out = place.join("out");
        fs::create_dir_all(&out).expect("make a directory");
        for name in IMAGES {
            fs::hard_link(coffer_binary(name), out.join(name))
                .or_else(|_| fs::copy(coffer_binary(name), out.join(name)).map(drop))
                .expect("copy a binary");
        }
        for name in ["ca-certificates.crt", "coffer-csi.cdx.json", "coffer-api-server.cdx.json"] {
            fs::write(out.join(name), "").expect("write a file");
        }
        fs::create_dir(out.join("licenses")).expect("make a directory");
        place
    }

    /// Builds one image. A folder takes the place of the stage `build`, so no Rust image is pulled.
    fn build_one(&self, name: &str, place: &Path) {
        let context = format!("build={}", place.display());
        let version = format!("VERSION={}", env!("CARGO_PKG_VERSION"));
        let revision = format!("REVISION={}", git(&["rev-parse", "HEAD"]));
        let timestamp = format!("--timestamp={}", source_date());
        self.store.buildah(&[
            "build",
            "--isolation=chroot",
            "--arch",
            &self.architecture,
            "--build-context",
            &context,
            "--build-arg",
            &version,
            "--build-arg",
            &revision,
            // The time of the image and of its files: the same binaries give the same image.
            &timestamp,
            "--file",
            &workspace().join("Containerfile").display().to_string(),
            "--target",
            name,
            "--tag",
            &self.reference(name),
            &workspace().display().to_string(),
        ]);
    }

    /// Creates a container, and returns the path of its root file system.
    fn mounted(&self, name: &str) -> String {
        let container = self.store.buildah(&["from", &self.reference(name)]);
        self.store.buildah(&["mount", container.trim()]).trim().to_owned()
    }
}

/// Returns Go's name of this machine's architecture.
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Returns the time that images carry, in seconds since 1970: `SOURCE_DATE_EPOCH` if it is set,
/// else that of the commit, else 0.
fn source_date() -> u64 {
    let set = std::env::var("SOURCE_DATE_EPOCH");
    let text = set.unwrap_or_else(|_| git(&["log", "-1", "--format=%ct"]));
    text.trim().parse().unwrap_or_default()
}

/// Returns what Git says of the workspace, or nothing outside of a checkout.
fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(workspace()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

fn size_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("a directory of the image").flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size_below(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}

fn succeeded(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {:?}: {e}", command.get_program()));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
