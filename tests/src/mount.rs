//! A Mount call as the driver makes it, and its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use coffer_proto::v1alpha1::{MountRequest, MountResponse, ObjectVersion};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use crate::pod::TestPod;

const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";

/// The driver version whose way of calling is simulated (recorded from the running drivers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimulatedDriver {
    /// 1.6: tokens in `attributes` and in `secrets`.
    V1_6,
    /// 1.5, first mount: `secrets` is `null`.
    V1_5,
    /// 1.5, rotation: `secrets` is `{}`, no class name, no `ephemeral`, the versions mounted so
    /// far.
    V1_5Rotation,
}

/// Builds a Mount call: a pod, its tokens, the class's parameters, and the driver that sends them.
#[derive(Clone, Debug)]
pub struct MountCall {
    attributes: Map<String, Value>,
    tokens: Map<String, Value>,
    raw_attributes: Option<String>,
    permission: String,
    driver: SimulatedDriver,
    current: Vec<ObjectVersion>,
    timeout: Option<Duration>,
    volume: String,
}

impl MountCall {
    /// Starts a call for a pod, without parameters and tokens.
    pub fn new(pod: &TestPod) -> Self {
        let mut attributes = Map::new();
        for (name, value) in [
            ("csi.storage.k8s.io/pod.name", &pod.name),
            ("csi.storage.k8s.io/pod.namespace", &pod.namespace),
            ("csi.storage.k8s.io/pod.uid", &pod.uid),
            ("csi.storage.k8s.io/serviceAccount.name", &pod.service_account),
        ] {
            attributes.insert(name.to_owned(), json!(value));
        }
        Self {
            attributes,
            tokens: Map::new(),
            raw_attributes: None,
            permission: "420".to_owned(),
            driver: SimulatedDriver::V1_6,
            current: Vec::new(),
            timeout: Some(Duration::from_secs(115)),
            volume: "secrets".to_owned(),
        }
    }

    /// Adds a parameter of the class.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.to_owned(), json!(value));
        self
    }

    /// Adds the parameter `objects`: YAML text.
    #[must_use]
    pub fn objects(self, yaml: &str) -> Self {
        self.param("objects", yaml)
    }

    /// Adds a service account token for an audience.
    #[must_use]
    pub fn token(mut self, audience: &str, token: &str) -> Self {
        let value = json!({ "token": token, "expirationTimestamp": "2099-01-01T00:00:00Z" });
        self.tokens.insert(audience.to_owned(), value);
        self
    }

    /// Sends these `attributes` in place of everything that was added.
    #[must_use]
    pub fn raw_attributes(mut self, attributes: &str) -> Self {
        self.raw_attributes = Some(attributes.to_owned());
        self
    }

    /// Sets the volume's default mode as the driver sends it; `420` by default.
    #[must_use]
    pub fn permission(mut self, permission: &str) -> Self {
        permission.clone_into(&mut self.permission);
        self
    }

    /// Sets the driver that calls.
    #[must_use]
    pub fn driver(mut self, driver: SimulatedDriver) -> Self {
        self.driver = driver;
        self
    }

    /// Adds the versions that driver 1.5 sends when it rotates a mounted volume.
    #[must_use]
    pub fn current_versions(mut self, mounted: &Mounted) -> Self {
        let version =
            |(id, version): (&String, &String)| ObjectVersion { id: id.clone(), version: version.clone() };
        self.current = mounted.versions.iter().map(version).collect();
        self
    }

    /// Sets the name of the pod's volume; `secrets` by default.
    #[must_use]
    pub fn volume(mut self, name: &str) -> Self {
        name.clone_into(&mut self.volume);
        self
    }

    /// Sets the call's deadline (`grpc-timeout`); just under kubelet's two minutes by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns the protobuf message.
    pub fn request(&self) -> MountRequest {
        let mut attributes = self.attributes.clone();
        let tokens = Value::from(self.tokens.clone()).to_string();
        if !self.tokens.is_empty() {
            attributes.insert(TOKENS.to_owned(), json!(tokens));
        }
        if self.driver != SimulatedDriver::V1_5Rotation {
            attributes.entry("secretProviderClass".to_owned()).or_insert_with(|| json!("class"));
            attributes.insert("csi.storage.k8s.io/ephemeral".to_owned(), json!("true"));
        }
        let secrets = match self.driver {
            SimulatedDriver::V1_6 if self.tokens.is_empty() => String::new(),
            SimulatedDriver::V1_6 => json!({ TOKENS: tokens }).to_string(),
            SimulatedDriver::V1_5 => "null".to_owned(),
            SimulatedDriver::V1_5Rotation => "{}".to_owned(),
        };
        MountRequest {
            attributes: self.raw_attributes.clone().unwrap_or_else(|| Value::from(attributes).to_string()),
            secrets,
            target_path: format!("/var/lib/kubelet/pods/uid/volumes/kubernetes.io~csi/{}/mount", self.volume),
            permission: self.permission.clone(),
            current_object_version: self.current.clone(),
        }
    }
}

/// The answer of a successful Mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The files by path.
    pub files: BTreeMap<String, MountedFile>,
    /// The versions by object id.
    pub versions: BTreeMap<String, String>,
}

/// A file in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedFile {
    /// The contents.
    pub contents: Vec<u8>,
    /// The mode.
    pub mode: i32,
}

impl Mounted {
    /// Returns a file's contents as text.
    ///
    /// # Panics
    /// If there is no such file, or it is not UTF-8.
    pub fn text(&self, path: &str) -> &str {
        std::str::from_utf8(&self.file(path).contents).unwrap_or_else(|e| panic!("{path} holds no text: {e}"))
    }

    /// Returns a file.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn file(&self, path: &str) -> &MountedFile {
        let names: Vec<_> = self.files.keys().collect();
        self.files.get(path).unwrap_or_else(|| panic!("no file {path} among {names:?}"))
    }

    /// Returns the version of an object.
    ///
    /// # Panics
    /// If there is no such object.
    pub fn version(&self, id: &str) -> &str {
        let ids: Vec<_> = self.versions.keys().collect();
        self.versions.get(id).unwrap_or_else(|| panic!("no version of {id} among {ids:?}"))
    }
}

/// The error of a failed Mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountRefusal {
    /// The gRPC code; never one that kubelet takes as non-final.
    pub code: Code,
    /// The message, which `kubectl describe pod` shows.
    pub message: String,
}

impl MountRefusal {
    /// Returns whether the message contains each of these.
    pub fn names(&self, parts: &[&str]) -> bool {
        parts.iter().all(|part| self.message.contains(part))
    }
}

/// Reads an answer as the driver does, and checks the rules that hold for every answer.
///
/// # Errors
/// The provider's error.
///
/// # Panics
/// If the answer breaks a rule of the contract.
pub fn read_answer(answer: Result<MountResponse, Status>) -> Result<Mounted, MountRefusal> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(status) => return Err(refusal(&status)),
    };
    assert!(answer.error.is_none(), "error.code hides the message from the user");
    assert!(!answer.object_version.is_empty(), "the driver refuses an answer without versions");

    let mut mounted = Mounted { files: BTreeMap::new(), versions: BTreeMap::new() };
    for ObjectVersion { id, version } in answer.object_version {
        assert!(!version.is_empty(), "the version of {id} is empty");
        let twice = mounted.versions.insert(id.clone(), version);
        assert!(twice.is_none(), "the version of {id} comes twice");
    }
    for file in answer.files {
        assert!(file.mode != 0, "{} would be readable by nobody", file.path);
        let twice =
            mounted.files.insert(file.path.clone(), MountedFile { contents: file.contents, mode: file.mode });
        assert!(twice.is_none(), "the file {} comes twice", file.path);
    }
    Ok(mounted)
}

/// Reads an error status, which must not be one that kubelet takes as non-final.
pub(crate) fn refusal(status: &Status) -> MountRefusal {
    /// For these codes kubelet keeps the target directory, and its retry starts the pod with an
    /// empty volume.
    const NON_FINAL: [Code; 5] =
        [Code::Cancelled, Code::DeadlineExceeded, Code::Unavailable, Code::ResourceExhausted, Code::Aborted];
    assert!(!NON_FINAL.contains(&status.code()), "a code that kubelet takes as non-final: {status:?}");
    let message = status.message().to_owned();
    assert!(!message.trim().is_empty(), "an error that says nothing: {status:?}");
    MountRefusal { code: status.code(), message }
}
