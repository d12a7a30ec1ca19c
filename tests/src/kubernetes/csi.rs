//! What kubelet sends to a CSI driver: the messages and fields of
//! [csi.proto](https://github.com/container-storage-interface/spec/blob/v1.11.0/csi.proto) that are
//! used here, written by hand.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// Kubelet's own timeout.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client of a driver's socket.
#[derive(Clone, Debug)]
pub(crate) struct CsiClient(Channel);

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodePublishVolumeRequest {
    #[prost(string, tag = "1")]
    pub(crate) volume_id: String,
    #[prost(string, tag = "4")]
    pub(crate) target_path: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) volume_capability: Option<VolumeCapability>,
    #[prost(bool, tag = "6")]
    pub(crate) readonly: bool,
    #[prost(map = "string, string", tag = "7")]
    pub(crate) secrets: HashMap<String, String>,
    #[prost(map = "string, string", tag = "8")]
    pub(crate) volume_context: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct VolumeCapability {
    #[prost(message, optional, tag = "2")]
    mount: Option<MountVolume>,
    #[prost(message, optional, tag = "3")]
    access_mode: Option<AccessMode>,
}

impl VolumeCapability {
    /// Returns the capability of a file system for one node.
    pub(crate) fn mount() -> Self {
        const SINGLE_NODE_WRITER: i32 = 1;
        Self { mount: Some(MountVolume {}), access_mode: Some(AccessMode { mode: SINGLE_NODE_WRITER }) }
    }
}

#[derive(Clone, PartialEq, Message)]
struct MountVolume {}

#[derive(Clone, PartialEq, Message)]
struct AccessMode {
    #[prost(int32, tag = "1")]
    mode: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeUnpublishVolumeRequest {
    #[prost(string, tag = "1")]
    pub(crate) volume_id: String,
    #[prost(string, tag = "2")]
    pub(crate) target_path: String,
}

/// A message without fields: requests without fields, and answers whose fields are not read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

impl CsiClient {
    /// Returns a client that dials at the first call, and again after a lost connection.
    pub(crate) fn new(socket: &Path) -> Self {
        let socket: Arc<Path> = socket.into();
        let dial = service_fn(move |_| {
            let socket = Arc::clone(&socket);
            async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
        });
        Self(Endpoint::from_static("http://localhost").connect_with_connector_lazy(dial))
    }

    /// Checks whether the driver answers.
    pub(crate) async fn probe(&self) -> Result<(), Status> {
        self.call("/csi.v1.Identity/Probe", Empty {}).await
    }

    pub(crate) async fn publish(&self, request: NodePublishVolumeRequest) -> Result<(), Status> {
        self.call("/csi.v1.Node/NodePublishVolume", request).await
    }

    pub(crate) async fn unpublish(&self, request: NodeUnpublishVolumeRequest) -> Result<(), Status> {
        self.call("/csi.v1.Node/NodeUnpublishVolume", request).await
    }

    async fn call(
        &self,
        method: &'static str,
        message: impl Message + Default + 'static,
    ) -> Result<(), Status> {
        let mut client = Grpc::new(self.0.clone());
        let not_ready = |e: tonic::transport::Error| Status::unavailable(e.to_string());
        client.ready().await.map_err(not_ready)?;
        let mut request = Request::new(message);
        request.set_timeout(PATIENCE);
        let codec = ProstCodec::<_, Empty>::default();
        client.unary(request, PathAndQuery::from_static(method), codec).await?;
        Ok(())
    }
}
