//! The HMAC key of the versions: one Secret for all nodes, created by the first, and still used
//! while it cannot be read.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_tests::kubernetes::{COFFER_NAMESPACE, Cluster, ClusterOptions, shipped_rbac};
use coffer_tests::{
    Csi, MountRefusal, OpenBao, OpenBaoSetup, Servers, Suite, TestPod, TokenIssuer, call_as_web, until,
    until_true,
};
use data_encoding::BASE64URL;
use futures_util::future::join_all;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use ring::hmac;
use serde_json::json;
use tempfile::TempDir;

const NAME: &str = "vault-csi-provider-hmac-key";

const OBJECTS: &str = "- {objectName: f, secretPath: secret/data/app, secretKey: k}";

pub(crate) fn tests(suite: Suite<VersionKeySetup>) -> Suite<VersionKeySetup> {
    suite
        .test("providers_that_start_together_agree", providers_that_start_together_agree)
        .test("a_restart_changes_no_version", a_restart_changes_no_version)
        .test("a_deleted_key_secret_is_created_again_for_the_next_new_pod", a_deleted_secret_is_made_anew)
        .test(
            "an_unreadable_secret_stops_only_who_holds_no_key",
            an_unreadable_secret_stops_only_who_holds_no_key,
        )
        .test("a_secret_without_a_key_says_what_to_do", a_secret_without_a_key_says_what_to_do)
}

/// A cluster for the Secret alone: the test issues the pods' tokens.
pub(crate) struct VersionKeySetup {
    cluster: Cluster,
    bao: OpenBao,
    issuer: TokenIssuer,
    dir: TempDir,
}

impl Servers for VersionKeySetup {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
    }
}

impl VersionKeySetup {
    pub(crate) async fn start() -> Self {
        let (cluster, (bao, issuer)) =
            tokio::join!(Cluster::start(ClusterOptions::default()), OpenBaoSetup::vault());
        bao.kv_put("app", json!({ "k": "v" })).await;
        let dir = tempfile::tempdir().unwrap();
        cluster.coffer_kubeconfig().await.write(&dir.path().join("kubeconfig"));
        Self { cluster, bao, issuer, dir }
    }

    async fn provider(&self) -> Csi {
        Csi::options()
            .key_in_cluster()
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .flag(format!("-vault-addr={}", self.bao.address()))
            .start()
            .await
    }

    /// Mounts for a new pod, and returns the version of its file.
    async fn version(&self, csi: &Csi) -> Result<String, MountRefusal> {
        let mounted = csi.mount(&call_as_web(&self.issuer, &TestPod::new("shop", "web"), OBJECTS)).await?;
        Ok(mounted.version("f").to_owned())
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.cluster.client().clone(), COFFER_NAMESPACE)
    }

    async fn delete_secret(&self) {
        let _ = self.secrets().delete(NAME, &DeleteParams::default()).await;
    }

    /// Returns the key in the Secret, if there is one.
    async fn key(&self) -> Option<Vec<u8>> {
        let secret = self.secrets().get_opt(NAME).await.unwrap()?;
        assert_eq!(secret.immutable, Some(true));
        let ByteString(key) = secret.data.unwrap().remove("key").unwrap();
        assert_eq!(key.len(), 32);
        Some(key)
    }
}

/// Returns the version of the test's object by the formula of HashiCorp's provider.
fn version_by(key: &[u8]) -> String {
    let config = r#"{"ObjectName":"f","SecretPath":"secret/data/app","SecretKey":"k","Method":"","SecretArgs":null,"FilePermission":0,"Encoding":""}"#;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    BASE64URL.encode(hmac::sign(&key, format!("{config}v").as_bytes()).as_ref())
}

async fn providers_that_start_together_agree(setup: Arc<VersionKeySetup>) {
    for _ in 0..3 {
        setup.delete_secret().await;
        let providers = join_all((0..4).map(|_| setup.provider())).await;
        let versions = join_all(providers.iter().map(|csi| setup.version(csi))).await;
        let versions: BTreeSet<_> = versions.into_iter().map(Result::unwrap).collect();
        let key = setup.key().await.expect("the Secret that one of them made");
        assert_eq!(versions, BTreeSet::from([version_by(&key)]));
    }
}

async fn a_restart_changes_no_version(setup: Arc<VersionKeySetup>) {
    let mut versions = BTreeSet::new();
    for _ in 0..2 {
        let mut csi = setup.provider().await;
        versions.insert(setup.version(&csi).await.unwrap());
        csi.terminate();
        csi.wait().await;
    }
    assert_eq!(versions.len(), 1);
}

async fn a_deleted_secret_is_made_anew(setup: Arc<VersionKeySetup>) {
    let (first, second) = tokio::join!(setup.provider(), setup.provider());
    let before = setup.version(&first).await.unwrap();
    assert_eq!(setup.version(&second).await.unwrap(), before);
    let known = call_as_web(&setup.issuer, &TestPod::new("shop", "web"), OBJECTS);
    first.mount(&known).await.unwrap();

    setup.delete_secret().await;
    let after = until("a new pod to get a version with another key", async || {
        let version = setup.version(&first).await.unwrap();
        (version != before).then_some(version)
    })
    .await;
    assert_eq!(after, version_by(&setup.key().await.expect("a new Secret")));
    assert_eq!(first.mount(&known).await.unwrap().version("f"), after, "one provider, one key");
    until_true("the other provider to use the new key", async || {
        setup.version(&second).await.unwrap() == after
    })
    .await;
}

async fn an_unreadable_secret_stops_only_who_holds_no_key(setup: Arc<VersionKeySetup>) {
    let holder = setup.provider().await;
    let version = setup.version(&holder).await.unwrap();

    let kubectl = setup.cluster.kubectl();
    kubectl.run(["delete", "rolebinding", "coffer-csi", "-n", COFFER_NAMESPACE]).await;
    // Only a failed read proves that the provider used the key in its memory.
    until_true("a read of the key to fail", async || {
        assert_eq!(setup.version(&holder).await.unwrap(), version);
        holder.log().contains("cannot be read again")
    })
    .await;
    assert_eq!(setup.version(&holder).await.unwrap(), version);

    let newcomer = setup.provider().await;
    let refusal = setup.version(&newcomer).await.unwrap_err();
    let secret = format!("{COFFER_NAMESPACE}/{NAME}");
    assert!(refusal.names(&["no key for the versions", &secret, "forbidden", "\"get\""]), "{refusal:?}");

    kubectl.apply([shipped_rbac()]).await;
    let regained =
        until("the new provider to get the key", async || setup.version(&newcomer).await.ok()).await;
    assert_eq!(regained, version);
}

async fn a_secret_without_a_key_says_what_to_do(setup: Arc<VersionKeySetup>) {
    setup.delete_secret().await;
    let mut empty = Secret::default();
    empty.metadata.name = Some(NAME.to_owned());
    setup.secrets().create(&PostParams::default(), &empty).await.unwrap();

    let csi = setup.provider().await;
    let refusal = setup.version(&csi).await.unwrap_err();
    assert!(refusal.names(&[NAME, "\"key\"", "delete it"]), "{refusal:?}");
    setup.delete_secret().await;
    let version = setup.version(&csi).await.unwrap();
    assert_eq!(version, version_by(&setup.key().await.unwrap()));
}
