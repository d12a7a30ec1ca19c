//! The operations that rounds repeat: a mount through the provider, or an HTTP GET.

use std::fs;
use std::path::Path;
use std::time::Instant;

use coffer_proto::v1alpha1::MountRequest;
use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use futures_util::{StreamExt, stream};
use prost::Message;
use reqwest::RequestBuilder;
use tonic::Request;
use tonic::transport::Channel;

use crate::rounds::{Load, Round};
use crate::vault::BenchVault;

/// Mounts of some pods, one for each worker, over one channel.
pub(crate) struct MountLoad {
    client: CsiDriverProviderClient<Channel>,
    requests: Vec<MountRequest>,
    /// The number of files in each answer.
    files: usize,
}

impl MountLoad {
    /// Makes the requests of new pods: nobody has mounted for them yet.
    pub(crate) fn new(client: CsiDriverProviderClient<Channel>, vault: &BenchVault, pods: usize) -> Self {
        Self { client, requests: (0..pods).map(|_| vault.call().request()).collect(), files: 2 }
    }

    /// Makes the request of a new pod that mounts other objects, with this number of files.
    pub(crate) fn one_pod(
        client: CsiDriverProviderClient<Channel>,
        vault: &BenchVault,
        objects: &str,
        files: usize,
    ) -> Self {
        Self { client, requests: vec![vault.call_for(objects).request()], files }
    }

    /// Mounts once for each pod.
    pub(crate) async fn each_once(&self, at_once: usize) -> Round {
        let begun = Instant::now();
        let mounts = stream::iter(0..self.requests.len()).map(|pod| async move {
            let begun = Instant::now();
            self.once(pod).await;
            begun.elapsed()
        });
        let latencies = mounts.buffer_unordered(at_once).collect().await;
        Round::new(latencies, begun.elapsed())
    }

    /// Writes the requests into a file, each after its length, as the Go program reads them.
    pub(crate) fn write(&self, file: &Path) {
        let bytes: Vec<u8> =
            self.requests.iter().flat_map(|request| request.encode_length_delimited_to_vec()).collect();
        fs::write(file, bytes).expect("write the requests");
    }
}

impl Load for MountLoad {
    async fn once(&self, worker: usize) {
        let request = Request::new(self.requests[worker].clone());
        let answer = self.client.clone().mount(request).await.expect("a mount");
        assert_eq!(answer.get_ref().files.len(), self.files);
    }
}

/// GETs over connections that are kept.
pub(crate) struct GetLoad(RequestBuilder);

impl GetLoad {
    pub(crate) fn new(request: RequestBuilder) -> Self {
        Self(request)
    }
}

impl Load for GetLoad {
    async fn once(&self, _worker: usize) {
        let request = self.0.try_clone().expect("no body");
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
        assert!(!answer.bytes().await.expect("a body").is_empty());
    }
}
