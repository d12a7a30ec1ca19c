//! What is done over and over: a mount through the provider, or a bare GET.

use std::time::Instant;

use coffer_proto::v1alpha1::MountRequest;
use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use futures_util::{StreamExt, stream};
use tonic::transport::Channel;

use crate::rounds::{Load, Round};
use crate::vault::Vault;

/// Mounts of so many pods, over one channel.
pub(crate) struct Mounts {
    client: CsiDriverProviderClient<Channel>,
    requests: Vec<MountRequest>,
}

impl Mounts {
    /// The pods are new: nobody has mounted for them yet.
    pub(crate) fn new(client: CsiDriverProviderClient<Channel>, vault: &Vault, pods: usize) -> Self {
        Self { client, requests: (0..pods).map(|_| vault.call().request()).collect() }
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
}

impl Load for Mounts {
    async fn once(&self, worker: usize) {
        let request = tonic::Request::new(self.requests[worker].clone());
        let answer = self.client.clone().mount(request).await.expect("a mount");
        assert_eq!(answer.get_ref().files.len(), 2);
    }
}

/// GETs over connections that are kept.
pub(crate) struct Gets(reqwest::RequestBuilder);

impl Gets {
    pub(crate) fn new(request: reqwest::RequestBuilder) -> Self {
        Self(request)
    }
}

impl Load for Gets {
    async fn once(&self, _worker: usize) {
        let request = self.0.try_clone().expect("no body");
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
        assert!(!answer.bytes().await.expect("a body").is_empty());
    }
}
