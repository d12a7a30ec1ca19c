//! SIGTERM: running mounts finish, or get an error, within the drain period.

use coffer_tests::{FakeVaultSetup, READ_APP, ScriptedAnswer, TestPod, until_true};
use futures_util::future::join_all;

#[tokio::test]
async fn an_idle_provider_ends_at_once_and_removes_its_socket() {
    let mut setup = FakeVaultSetup::start().await;
    assert!(setup.csi.socket().exists());
    setup.csi.terminate();
    assert!(setup.csi.wait().await.success());
    assert!(!setup.csi.socket().exists());
}

#[tokio::test]
async fn running_mounts_are_finished() {
    let mut setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret().held()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP);
    let (mounted, ()) = tokio::join!(setup.csi.mount(&call), async {
        setup.vault.took("GET", "/v1/kv/app", 1).await;
        setup.csi.terminate();
        until_true("readiness to end", async || !setup.csi.ready().await).await;
        setup.vault.release();
    });
    assert_eq!(mounted.unwrap().text("f"), "v");
    assert!(setup.csi.wait().await.success());
}

#[tokio::test]
async fn mounts_that_cannot_finish_get_internal_before_the_end() {
    let mut setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::hangs()]);
    let mount = |_| async { setup.csi.mount(&setup.call(&TestPod::new("shop", "web"), READ_APP)).await };
    let (refusals, ()) = tokio::join!(join_all((0..20).map(mount)), async {
        setup.vault.took("GET", "/v1/kv/app", 1).await;
        setup.csi.terminate();
    });
    for refusal in refusals {
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.code, tonic::Code::Internal, "{refusal:?}");
    }
    assert!(setup.csi.wait().await.success());
    assert!(!setup.csi.socket().exists());
}
