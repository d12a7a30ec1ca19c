//! Many mounts at once: no mount waits for another mount's Vault, and the driver's health check
//! waits for none.

use coffer_tests::{
    Csi, FakeVault, FakeVaultSetup, MountRefusal, Mounted, OpenBaoSetup, READ_APP, ScriptedAnswer, TestPod,
    TokenIssuer, call_as_web,
};
use futures_util::future::join_all;
use serde_json::json;

#[tokio::test]
async fn a_stalled_vault_does_not_delay_mounts_from_another_vault() {
    let (stalled, good) = (FakeVault::start().await, FakeVault::start().await);
    stalled.script("GET", "/v1/kv/app", [ScriptedAnswer::secret(json!({ "k": "late" })).held()]);
    good.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let csi = Csi::options().start().await;
    let mount = async |vault: &FakeVault| mount_from(&csi, vault).await;

    let late = join_all((0..100).map(|_| mount(&stalled)));
    let others = async {
        stalled.took("GET", "/v1/kv/app", 1).await;
        let mounted = join_all((0..100).map(|_| mount(&good))).await;
        mounted.into_iter().for_each(|mounted| assert_eq!(mounted.unwrap().text("f"), "v"));
        csi.version().await.expect("Version waits for no mount");
        assert!(csi.ready().await);
        assert!(csi.metrics().await.has("coffer_"));
        stalled.release();
    };
    let (late, ()) = tokio::join!(late, others);
    late.into_iter().for_each(|mounted| assert_eq!(mounted.unwrap().text("f"), "late"));
}

/// Mounts `kv/app` of that Vault for a new pod.
async fn mount_from(csi: &Csi, vault: &FakeVault) -> Result<Mounted, MountRefusal> {
    let call = call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), READ_APP);
    csi.mount(&call.param("vaultAddress", vault.address())).await
}

/// Any tenant may set `vaultAddress`: the content length that such a server announces must not
/// reserve memory that others need.
#[tokio::test]
async fn a_large_content_length_without_a_body_does_not_delay_others() {
    let (stalled, good) = (FakeVault::start().await, FakeVault::start().await);
    stalled.script("GET", "/v1/kv/app", [ScriptedAnswer::stalls_midway(8 << 20)]);
    good.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let csi = Csi::options().start().await;
    let mount = async |vault: &FakeVault| mount_from(&csi, vault).await;
    let stuck = join_all((0..20).map(|_| mount(&stalled)));
    let others = async {
        stalled.took("GET", "/v1/kv/app", 20).await;
        let mounted = join_all((0..20).map(|_| mount(&good))).await;
        stalled.release();
        mounted
    };
    let (stuck, mounted) = tokio::join!(stuck, others);
    mounted.into_iter().for_each(|mounted| assert_eq!(mounted.unwrap().text("f"), "v"));
    assert!(stuck.iter().all(Result::is_err));
}

#[tokio::test]
async fn two_hundred_first_mounts_at_once_all_succeed() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "k": "v" })).await;
    let objects = "- {objectName: f, secretPath: secret/data/app, secretKey: k}";
    let mounted = join_all((0..200).map(|_| setup.mount(objects))).await;
    mounted.into_iter().for_each(|mounted| assert_eq!(mounted.unwrap().text("f"), "v"));
    assert_eq!(setup.bao.logins(), 200);
    assert_eq!(setup.bao.requests_to("secret/data/app"), 200);
}

#[tokio::test]
async fn large_answers_at_once_stay_within_bounds() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::secret(json!({ "k": "x".repeat(2_000_000) }))]);
    let mounted = join_all((0..60).map(|_| setup.mount(READ_APP))).await;
    for mounted in mounted {
        assert_eq!(mounted.unwrap().file("f").contents.len(), 2_000_000);
    }
    setup.csi.version().await.expect("the process is still running");
}

#[tokio::test]
async fn a_driver_that_hangs_up_leaves_nothing_behind() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret().held()]);
    let pod = TestPod::new("shop", "web");
    let call = setup.call(&pod, READ_APP);
    for _ in 0..20 {
        tokio::select! {
            mounted = setup.csi.mount(&call) => panic!("an answer although Vault holds its own: {mounted:?}"),
            () = setup.vault.took("GET", "/v1/kv/app", 1) => {}
        }
    }
    setup.vault.release();
    assert_eq!(setup.csi.mount(&call).await.unwrap().text("f"), "v");
    assert_eq!(setup.vault.logins(), 1);
}
