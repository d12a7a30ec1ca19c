//! Every mount ends by itself, before the driver's deadline, with a code that kubelet takes as
//! final.

use std::time::Duration;

use coffer_tests::{Csi, FakeVaultSetup, LOGIN, READ_APP, ScriptedAnswer, SimulatedDriver, TestPod};
use futures_util::future::join_all;

/// The test's client enforces the deadline itself with CANCELLED, which no answer may carry. So any
/// answer proves that it came in time.
const DEADLINE: Option<Duration> = Some(Duration::from_secs(8));

#[tokio::test]
async fn a_hung_read_ends_before_the_deadline() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::hangs()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP).timeout(DEADLINE);
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["f", "kv/app"]), "{refusal:?}");
}

/// The driver needs some of the time itself: of 12 seconds the provider uses at most 10.
#[tokio::test]
async fn a_mount_leaves_the_driver_some_of_its_time() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::hangs()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP).timeout(Some(Duration::from_secs(12)));
    let mounted = tokio::time::timeout(Duration::from_secs(10), setup.csi.mount(&call)).await;
    mounted.expect("the answer came with less than two seconds to spare").unwrap_err();
}

#[tokio::test]
async fn a_hung_login_ends_before_the_deadline() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("POST", LOGIN, [ScriptedAnswer::hangs()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP).timeout(DEADLINE);
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["login"]), "{refusal:?}");
}

#[tokio::test]
async fn a_hung_request_that_issues_ends_before_the_deadline_and_is_sent_once() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("POST", "/v1/pki/issue/web", [ScriptedAnswer::hangs()]);
    let objects = "- {objectName: f, secretPath: pki/issue/web, secretKey: k, method: POST}";
    let call = setup.call(&TestPod::new("shop", "web"), objects).timeout(DEADLINE);
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["f", "pki/issue/web"]), "{refusal:?}");
    assert_eq!(setup.vault.requests_to("POST", "/v1/pki/issue/web").len(), 1);
}

#[tokio::test]
async fn mounts_that_queue_behind_a_hung_vault_end_before_their_deadline_too() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("POST", LOGIN, [ScriptedAnswer::hangs()]);
    let mount = |_| async {
        let call = setup.call(&TestPod::new("shop", "web"), READ_APP).timeout(DEADLINE);
        setup.csi.mount(&call).await.unwrap_err()
    };
    let refusals = join_all((0..200).map(mount)).await;
    assert_eq!(refusals.len(), 200);
    setup.csi.version().await.expect("the process is still running");
}

#[tokio::test]
async fn retries_end_before_the_deadline() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::error(500, "internal error")]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP).timeout(DEADLINE);
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["f", "kv/app", "500"]), "{refusal:?}");
}

#[tokio::test]
async fn a_deadline_shorter_than_any_margin_still_has_a_final_answer() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::hangs()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP);
    setup.csi.mount(&call.timeout(Some(Duration::from_secs(4)))).await.unwrap_err();
}

#[tokio::test]
async fn a_vault_that_is_slow_but_answers_is_waited_for() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret().held()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP).timeout(Some(Duration::from_secs(60)));
    let (mounted, ()) = tokio::join!(setup.csi.mount(&call), async {
        setup.vault.took("GET", "/v1/kv/app", 1).await;
        setup.vault.release();
    });
    assert_eq!(mounted.unwrap().text("f"), "v");
}

#[tokio::test]
async fn the_client_s_own_timeout_is_set_as_in_vault_s_client() {
    let setup = FakeVaultSetup::start_with(Csi::options().env("VAULT_CLIENT_TIMEOUT", "1s")).await;
    setup.vault.script("POST", "/v1/pki/x", [ScriptedAnswer::hangs()]);
    let objects = "- {objectName: f, secretPath: pki/x, secretKey: k, method: POST}";
    // Without the variable, this deadline would outlast the test.
    let call = setup.call(&TestPod::new("shop", "web"), objects).timeout(Some(Duration::from_secs(3600)));
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["f", "pki/x"]), "{refusal:?}");
}

/// Drivers up to 1.5 rotate without a deadline and with one worker: a mount that never ends stops
/// rotation on the node. This is the only test that waits for the whole minute of the provider's
/// own limit.
#[tokio::test]
async fn a_mount_without_a_deadline_ends_by_itself() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("POST", LOGIN, [ScriptedAnswer::hangs()]);
    let call = setup
        .call(&TestPod::new("shop", "web"), READ_APP)
        .driver(SimulatedDriver::V1_5Rotation)
        .timeout(None);
    let mounted = tokio::time::timeout(Duration::from_secs(120), setup.csi.mount(&call)).await;
    mounted.expect("the mount never ended").unwrap_err();
}
