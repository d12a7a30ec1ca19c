//! Several API servers side by side, and what they share: certificates and the HMAC key of the
//! versions.

use std::sync::Arc;

use coffer_tests::kubernetes::Namespace;
use coffer_tests::kubernetes::aggregated::{API, API_NAMESPACE, ApiSetup, DirectClient, Replica};
use coffer_tests::{Suite, TestCa, until, until_true};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::Value;

const HOST: &str = coffer_tests::kubernetes::aggregated::HOST;
const ALIVE: &str = "/livez";

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("certificate_files_are_read_again_when_they_change", certificate_files)
        .test("replicas_that_race_for_the_certificate_agree", replicas_agree)
        .test("replicas_share_the_hmac_key", replicas_share_a_key)
}

async fn certificate_files(setup: Arc<ApiSetup>) {
    let dir = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    let write = |authority: &TestCa| {
        let issued = authority.issue("coffer-api-server", &[HOST]);
        std::fs::write(&certificate, issued.certificate).expect("write a file");
        std::fs::write(&key, issued.key).expect("write a file");
    };
    let (first, second) = (TestCa::new(), TestCa::new());
    write(&first);
    let flags = [("--tls-cert-file", &certificate), ("--tls-private-key-file", &key)]
        .map(|(flag, path)| format!("{flag}={}", path.display()));
    let replica = setup.replica(&[&flags[0], &flags[1]]);
    let by = |authority: &TestCa| setup.direct_to(&replica, authority.certificate().as_bytes());
    let (by_first, by_second) = (by(&first), by(&second));
    let served = async |direct: &DirectClient| direct.try_get(ALIVE, &[]).await.is_ok();
    until_true("the replica to serve", async || served(&by_first).await).await;
    assert!(!served(&by_second).await);

    std::fs::write(&key, "no key").expect("write a file");
    until_true("an invalid key to be refused", async || {
        replica.log().contains("the serving certificate cannot be replaced")
    })
    .await;
    assert!(served(&by_first).await);
    write(&second);
    until_true("the new certificate to be served", async || served(&by_second).await).await;
    assert!(!served(&by_first).await);
    // with its own certificate files, a server leaves the Secret and the APIService alone
    assert!(!replica.log().contains("APIService"), "{}", replica.log());
}

async fn replicas_agree(setup: Arc<ApiSetup>) {
    setup.server.kill();
    let secrets: Api<Secret> = Api::namespaced(setup.cluster.client().clone(), API_NAMESPACE);
    secrets.delete("coffer-api-server-tls", &DeleteParams::default()).await.expect("the Secret is there");
    let replicas: Vec<Replica> = (0..4).map(|_| setup.replica(&[])).collect();
    let secret = until("the Secret", async || setup.serving_secret().await).await;
    let bundle = secret.data.expect("data")["ca.crt"].0.clone();
    for replica in &replicas {
        let direct = setup.direct_to(replica, &bundle);
        until("the replica to serve with the shared CA", async || direct.try_get(ALIVE, &[]).await.ok())
            .await;
    }
    assert_eq!(setup.serving_ca().await, bundle, "a replica created another CA");
    let created = replicas.iter().filter(|replica| replica.log().contains("has new certificates")).count();
    assert_eq!(created, 1, "one replica creates the Secret");
    let path = "-o=jsonpath={.spec.caBundle}";
    // for an hour it trusts the CA of the deleted Secret too
    until_true("the APIService to trust it", async || {
        let shown = setup.kubectl(["get", "apiservice", "v1alpha1.custom.secrets.k8s.io", path]).await;
        let shown = data_encoding::BASE64.decode(shown.out.as_bytes()).unwrap_or_default();
        shown.ends_with(&bundle)
    })
    .await;
    drop(replicas);
    setup.start_again().await;
}

/// Without `--hmac-key-file` the first server creates the Secret, and all servers use it.
async fn replicas_share_a_key(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("versions").await;
    let replicas = [(); 2].map(|()| setup.replica(&[]));
    let (first, second) =
        (versions(&setup, &replicas[0], &ns).await, versions(&setup, &replicas[1], &ns).await);
    assert_eq!(first, second);
    let by_file = setup.kubectl(["get", "vaultsecret", "db", "-n", ns.name(), "-o", "json"]).await.json();
    assert_ne!(by_file["versions"], first, "the server with --hmac-key-file has another key");

    let secrets: Api<Secret> = Api::namespaced(setup.cluster.client().clone(), API_NAMESPACE);
    let secret = secrets.get("vault-csi-provider-hmac-key").await.expect("the Secret of the key");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key");
    std::fs::write(&file, &secret.data.expect("data")["key"].0).expect("write a file");
    let flag = format!("--hmac-key-file={}", file.display());
    assert_eq!(versions(&setup, &setup.replica(&[&flag]), &ns).await, first);
}

/// Returns the versions of class `db` in a replica's answer.
async fn versions(setup: &ApiSetup, replica: &Replica, ns: &Namespace) -> Value {
    let direct = setup.direct_to(replica, &setup.serving_ca().await);
    let path = format!("{API}/namespaces/{}/secrets/db", ns.name());
    let admin = setup.admin();
    let text = until("the replica to read", async || {
        let answer = direct.try_get(&path, &[("Authorization", &admin)]).await.ok();
        answer.and_then(|(status, _, text)| (status == 200).then_some(text))
    })
    .await;
    let read: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(read["versions"].as_object().map(serde_json::Map::len), Some(2));
    read["versions"].clone()
}
