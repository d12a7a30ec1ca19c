//! What a user does and sees with kubectl, with the README's own class.

use std::sync::Arc;

use coffer_tests::kubernetes::{
    ClusterWithVault, CsiNode, DriverGeneration, example_namespace, example_secret,
};
use coffer_tests::{Suite, TestPod, until, until_true};
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite.mounting("the_example_works_unchanged", the_example_works_unchanged)
}

/// Applies the example's class as it is, and a Deployment on each node whose pod mounts it.
async fn the_example_works_unchanged(setup: Arc<ClusterWithVault>) {
    let kubectl = setup.cluster.kubectl();
    let shop = example_namespace(&setup.cluster).await;
    let mut pods = Vec::new();
    for generation in DriverGeneration::ALL {
        let node = setup.node(generation);
        deploy(&setup, node).await;
        let pod = until("the Deployment's pod", async || pod_on(&setup, node).await).await;
        pods.push((node, pod));
    }

    // Vault has no role `shop` yet: the pods' events say so.
    for (node, pod) in &pods {
        node.kubelet.refused(pod).await;
        let described = kubectl.run(["describe", "pod", "-n", "shop", &pod.name]).await;
        for part in ["FailedMount", "auth/kubernetes/login", "role \"shop\"", "shop/shop"] {
            assert!(described.contains(part), "no {part:?} in {described}");
        }
    }
    example_secret(&setup.bao).await;
    for (node, pod) in &pods {
        let volume = node.kubelet.mount(pod).await;
        assert_eq!(volume.read("username").as_deref(), Some("shop"));
        assert_eq!(volume.read("password").as_deref(), Some("correct-horse"));
        assert_eq!(volume.mode("password"), 0o400);
        let status = format!("{}-shop-shop-db", pod.name);
        let shown =
            kubectl.run(["get", "secretproviderclasspodstatus", "-n", "shop", &status, "-o", "yaml"]).await;
        for part in ["mounted: true", "id: password", "id: username", "secretProviderClassName: shop-db"] {
            assert!(shown.contains(part), "no {part:?} in {shown}");
        }
        node.kubelet.unmount(&volume).await;
    }

    // Deleting a pod deletes its status as well; only kubelet could confirm that the containers
    // have ended.
    kubectl.run(["delete", "deployment", "-n", "shop", "--all"]).await;
    for (_, pod) in &pods {
        shop.delete_pod(pod).await;
        until_true("the pod's status to be deleted", async || shop.status(pod, "shop-db").await.is_none())
            .await;
    }
}

/// Applies a Deployment of one pod on that node.
async fn deploy(setup: &ClusterWithVault, node: &CsiNode) {
    let volume = json!({
        "name": "secrets",
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "readOnly": true,
            "volumeAttributes": { "secretProviderClass": "shop-db" },
        },
    });
    let spec = json!({
        // There is no scheduler here.
        "nodeName": node.name(),
        "serviceAccountName": "shop",
        "containers": [{
            "name": "web",
            "image": "web",
            "volumeMounts": [{ "name": "secrets", "mountPath": "/secrets", "readOnly": true }],
        }],
        "volumes": [volume],
    });
    let labels = json!({ "app": node.name() });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": node.name(), "namespace": "shop" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("deployment.yaml");
    std::fs::write(&file, deployment.to_string()).unwrap();
    setup.cluster.kubectl().apply([file]).await;
}

/// Returns the Deployment's pod on that node, if there is one.
async fn pod_on(setup: &ClusterWithVault, node: &CsiNode) -> Option<TestPod> {
    let pods: Api<core::Pod> = Api::namespaced(setup.cluster.client().clone(), "shop");
    let labelled = ListParams::default().labels(&format!("app={}", node.name()));
    let pod = pods.list(&labelled).await.unwrap().items.pop()?;
    Some(TestPod {
        namespace: "shop".to_owned(),
        name: pod.metadata.name?,
        uid: pod.metadata.uid?,
        service_account: pod.spec?.service_account_name?,
    })
}
