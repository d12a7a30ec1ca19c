//! SIGTERM: what runs is finished or told so, within the drain's time.

use coffer_tests::{Answer, FaultSite, Pod, until_true};
use futures_util::future::join_all;
use serde_json::json;

const READ: &str = "- {objectName: f, secretPath: kv/app, secretKey: k}";

#[tokio::test]
async fn an_idle_provider_ends_at_once_and_takes_its_socket_along() {
    let mut site = FaultSite::start().await;
    assert!(site.csi.socket().exists());
    site.csi.terminate();
    assert!(site.csi.wait().await.success());
    assert!(!site.csi.socket().exists());
}

#[tokio::test]
async fn mounts_under_way_are_finished() {
    let mut site = FaultSite::start().await;
    site.vault.script("GET", "/v1/kv/app", [Answer::secret(json!({ "k": "v" })).held()]);
    let call = site.call(&Pod::new("shop", "web"), READ);
    let (mounted, ()) = tokio::join!(site.csi.mount(&call), async {
        site.vault.took("GET", "/v1/kv/app", 1).await;
        site.csi.terminate();
        until_true("readiness to end", async || !site.csi.ready().await).await;
        site.vault.release();
    });
    assert_eq!(mounted.unwrap().text("f"), "v");
    assert!(site.csi.wait().await.success());
}

#[tokio::test]
async fn mounts_that_cannot_finish_are_told_internal_before_the_end() {
    let mut site = FaultSite::start().await;
    site.vault.script("GET", "/v1/kv/app", [Answer::hangs()]);
    let mount = |_| async { site.csi.mount(&site.call(&Pod::new("shop", "web"), READ)).await };
    let (refusals, ()) = tokio::join!(join_all((0..20).map(mount)), async {
        site.vault.took("GET", "/v1/kv/app", 1).await;
        site.csi.terminate();
    });
    for refusal in refusals {
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.code, tonic::Code::Internal, "{refusal:?}");
    }
    assert!(site.csi.wait().await.success());
    assert!(!site.csi.socket().exists());
}
