//! What kubelet does for a pod's CSI volume, and nothing else.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{
    BoundObjectReference, TokenRequest, TokenRequestSpec, TokenRequestStatus,
};
use k8s_openapi::api::core::v1::{self as core, CSIVolumeSource, ServiceAccount};
use k8s_openapi::api::storage::v1::CSIDriver;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Map, Value, json};
use tonic::Status;

use super::csi::{CsiClient, NodePublishVolumeRequest, NodeUnpublishVolumeRequest, VolumeCapability};
use super::{DRIVER_NAME, events};
use crate::mount::{MountRefusal, refusal};
use crate::pod::TestPod;
use crate::wait::until;

const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";

/// Plays kubelet on one node, with the driver of that node. Volumes are below the node's directory.
pub struct Kubelet {
    client: Client,
    driver: CsiClient,
    root: PathBuf,
}

/// A pod's volume: its mount point, and what kubelet tells the driver about it.
#[derive(Clone, Debug)]
pub struct PodVolume {
    /// The pod.
    pub pod: TestPod,
    /// The volume's name in the pod.
    name: String,
    target: PathBuf,
    context: HashMap<String, String>,
    secrets: HashMap<String, String>,
}

impl Kubelet {
    pub(crate) fn new(client: Client, driver: CsiClient, root: PathBuf) -> Self {
        Self { client, driver, root }
    }

    /// Returns the pod's volume, with tokens if the CSIDriver object asks for them. Publishing
    /// needs no kube-apiserver, as with kubelet.
    ///
    /// # Panics
    /// If the pod has no CSI volume.
    pub async fn volume(&self, pod: &TestPod) -> PodVolume {
        let pods: Api<core::Pod> = Api::namespaced(self.client.clone(), &pod.namespace);
        let spec = pods.get(&pod.name).await.expect("the pod").spec.unwrap_or_default();
        let volumes = spec.volumes.unwrap_or_default();
        let csi = volumes.into_iter().find_map(|volume| Some((volume.name, volume.csi?)));
        let (name, csi) = csi.expect("a CSI volume in the pod");
        let mut volume = PodVolume {
            target: self.root.join(format!("pods/{}/volumes/kubernetes.io~csi/{name}/mount", pod.uid)),
            pod: pod.clone(),
            context: context(pod, csi),
            secrets: HashMap::new(),
            name,
        };
        self.add_tokens(&mut volume).await;
        volume
    }

    /// Publishes a new pod's volume.
    ///
    /// # Panics
    /// If the driver refuses.
    pub async fn mount(&self, pod: &TestPod) -> PodVolume {
        let volume = self.volume(pod).await;
        let mounted = self.publish(&volume).await;
        mounted.unwrap_or_else(|e| panic!("{} is not mounted: {e:?}", pod.name));
        volume
    }

    /// Publishes a new pod's volume, which the driver must refuse.
    ///
    /// # Panics
    /// If the driver does not refuse.
    pub async fn refused(&self, pod: &TestPod) -> MountRefusal {
        let published = self.publish(&self.volume(pod).await).await;
        published.expect_err("the mount is refused")
    }

    /// Publishes a volume, for the first time or again. A refusal becomes an event of the pod.
    ///
    /// # Errors
    /// The driver's error.
    ///
    /// # Panics
    /// If kubelet would take the error for a mount that is still running.
    pub async fn publish(&self, volume: &PodVolume) -> Result<(), MountRefusal> {
        let status = match self.publish_once_known(volume).await {
            Ok(()) => return Ok(()),
            Err(status) => status,
        };
        // The directory is empty if the driver unmounted it, as after a failed first mount.
        let _ = fs::remove_dir(&volume.target);
        events::failed_mount(&self.client, volume, &status).await;
        Err(refusal(&status))
    }

    /// Unpublishes a volume.
    ///
    /// # Panics
    /// If the driver refuses.
    pub async fn unmount(&self, volume: &PodVolume) {
        self.try_unmount(volume).await.expect("the volume is unmounted");
    }

    /// Publishes a volume once, whatever becomes of it.
    ///
    /// # Errors
    /// The driver's error.
    pub(crate) async fn publish_once(&self, volume: &PodVolume) -> Result<(), Status> {
        self.driver.publish(request(volume)).await
    }

    /// Unpublishes a volume.
    ///
    /// # Errors
    /// The driver's error.
    pub(crate) async fn try_unmount(&self, volume: &PodVolume) -> Result<(), Status> {
        let request = NodeUnpublishVolumeRequest {
            volume_id: volume.id(),
            target_path: volume.target.display().to_string(),
        };
        self.driver.unpublish(request).await
    }

    /// Requests the pod's token for an audience, bound to the pod.
    ///
    /// # Panics
    /// If kube-apiserver refuses.
    pub async fn token(&self, pod: &TestPod, audience: &str) -> TokenRequestStatus {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(vec![audience.to_owned()]),
                expiration_seconds: Some(3600),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(pod.name.clone()),
                    uid: Some(pod.uid.clone()),
                }),
            }),
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &pod.namespace);
        let post = PostParams::default();
        let answer = accounts.create_token_request(&pod.service_account, &post, &request).await;
        answer.expect("a token").status.expect("a token's status")
    }

    /// The driver's watch delivers a new class only after a moment; kubelet retries as well.
    async fn publish_once_known(&self, volume: &PodVolume) -> Result<(), Status> {
        let request = request(volume);
        until("the driver to know the class", async || match self.driver.publish(request.clone()).await {
            Err(status) if is_unknown_class(&status) => None,
            answer => Some(answer),
        })
        .await
    }

    async fn add_tokens(&self, volume: &mut PodVolume) {
        let drivers: Api<CSIDriver> = Api::all(self.client.clone());
        let spec = drivers.get(DRIVER_NAME).await.expect("the CSIDriver object").spec;
        let mut tokens = Map::new();
        for wanted in spec.token_requests.unwrap_or_default() {
            let TokenRequestStatus { token, expiration_timestamp } =
                self.token(&volume.pod, &wanted.audience).await;
            let token = json!({ "token": token, "expirationTimestamp": expiration_timestamp });
            tokens.insert(wanted.audience, token);
        }
        if tokens.is_empty() {
            return;
        }
        let place = match spec.service_account_token_in_secrets {
            Some(true) => &mut volume.secrets,
            _ => &mut volume.context,
        };
        place.insert(TOKENS.to_owned(), Value::from(tokens).to_string());
    }
}

impl PodVolume {
    /// Returns the name of the SecretProviderClass.
    pub fn class(&self) -> &str {
        &self.context["secretProviderClass"]
    }

    /// Returns the volume's name in the pod.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the mount point.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Returns a file's contents, or nothing if there is no such file.
    pub fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.target.join(file)).ok()
    }

    /// Returns a file's mode bits.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn mode(&self, file: &str) -> u32 {
        let found = fs::metadata(self.target.join(file)).expect("the file");
        found.permissions().mode() & 0o777
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Panics
    /// If the file is not a symbolic link.
    pub fn link(&self, file: &str) -> String {
        let target = fs::read_link(self.target.join(file)).expect("a symbolic link");
        target.display().to_string()
    }

    fn id(&self) -> String {
        format!("csi-{}-{}", self.pod.uid, self.name)
    }
}

/// Makes the directory of a volume, and returns the request to publish the volume.
fn request(volume: &PodVolume) -> NodePublishVolumeRequest {
    let parent = volume.target.parent().expect("a target below a directory");
    fs::create_dir_all(parent).expect("make the volume's directory");
    NodePublishVolumeRequest {
        volume_id: volume.id(),
        target_path: volume.target.display().to_string(),
        volume_capability: Some(VolumeCapability::mount()),
        readonly: true,
        secrets: volume.secrets.clone(),
        volume_context: volume.context.clone(),
    }
}

/// Returns what the CSIDriver's `podInfoOnMount` asks for, and the volume's own attributes.
fn context(pod: &TestPod, csi: CSIVolumeSource) -> HashMap<String, String> {
    let mut context: HashMap<_, _> = csi.volume_attributes.unwrap_or_default().into_iter().collect();
    for (name, value) in [
        ("pod.name", pod.name.as_str()),
        ("pod.namespace", &pod.namespace),
        ("pod.uid", &pod.uid),
        ("serviceAccount.name", &pod.service_account),
        ("ephemeral", "true"),
    ] {
        context.insert(format!("csi.storage.k8s.io/{name}"), value.to_owned());
    }
    context
}

fn is_unknown_class(status: &Status) -> bool {
    let message = status.message();
    message.contains("failed to get secretproviderclass") && message.contains("not found")
}
