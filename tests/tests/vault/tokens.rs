//! Logins: one token per pod and role, reused while it is valid, never shared.

use std::time::Duration;

use coffer_tests::{
    Csi, FakeVaultSetup, JwtRole, LOGIN, MountCall, OpenBaoSetup, ScriptedAnswer, TestPod, TokenIssuer,
    TokenRequest, until_true,
};
use futures_util::future::join_all;
use serde_json::json;

const OBJECTS: &str = "- {objectName: f, secretPath: secret/data/app, secretKey: k}";

async fn setup() -> OpenBaoSetup {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "k": "v" })).await;
    setup
}

async fn fake_vault_setup() -> FakeVaultSetup {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/secret/data/app", [ScriptedAnswer::app_secret()]);
    setup
}

#[tokio::test]
async fn a_pod_logs_in_once_for_several_mounts() {
    let setup = setup().await;
    let pod = TestPod::new("shop", "web");
    for _ in 0..5 {
        setup.csi.mount(&setup.call(&pod, OBJECTS)).await.unwrap();
    }
    assert_eq!(setup.bao.logins(), 1);
    assert_eq!(setup.bao.requests_to("secret/data/app"), 5);
}

#[tokio::test]
async fn mounts_of_a_pod_at_once_share_one_login() {
    let setup = fake_vault_setup().await;
    let login = LOGIN;
    setup.vault.script("POST", login, [ScriptedAnswer::login("hvs.one", 3600).held()]);
    let call = setup.call(&TestPod::new("shop", "web"), OBJECTS);
    let mounts = join_all((0..10).map(|_| setup.csi.mount(&call)));
    let (mounted, ()) = tokio::join!(mounts, async {
        setup.vault.took("POST", login, 1).await;
        setup.vault.release();
    });
    mounted.into_iter().for_each(|mounted| assert_eq!(mounted.unwrap().text("f"), "v"));
    assert_eq!(setup.vault.logins(), 1);
}

#[tokio::test]
async fn two_pods_never_share_a_token() {
    let setup = fake_vault_setup().await;
    let (one, two) = (TestPod::new("shop", "web"), TestPod::new("shop", "web"));
    for pod in [&one, &two, &one, &two] {
        setup.csi.mount(&setup.call(pod, OBJECTS)).await.unwrap();
    }
    let reads = setup.vault.requests_to("GET", "/v1/secret/data/app");
    let tokens: Vec<_> = reads.iter().map(|read| read.token().unwrap()).collect();
    assert_eq!(setup.vault.logins(), 2);
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!((tokens[0], tokens[1]), (tokens[2], tokens[3]));
}

#[tokio::test]
async fn everything_that_vault_may_decide_on_separates_tokens() {
    let setup = fake_vault_setup().await;
    for path in ["/v1/auth/other/login", LOGIN] {
        setup.vault.script(
            "POST",
            path,
            (0..20).map(|n| ScriptedAnswer::login(&format!("hvs.{path}-{n}"), 3600)),
        );
    }
    let pod = TestPod::new("shop", "web");
    let call = setup.call(&pod, OBJECTS).token("elsewhere", &setup.issuer.token(&pod));
    let others = [
        call.clone(),
        call.clone().param("roleName", "other"),
        call.clone().param("vaultAuthMountPath", "other"),
        call.clone().param("vaultNamespace", "other"),
        call.clone().param("audience", "elsewhere"),
        call.clone().param("csi.storage.k8s.io/serviceAccount.name", "other"),
        call.clone().param("csi.storage.k8s.io/pod.uid", "another-uid"),
    ];
    for (n, other) in others.iter().enumerate() {
        setup.csi.mount(other).await.unwrap();
        assert_eq!(setup.vault.logins(), n + 1, "{other:?}");
    }
    let reads = setup.vault.requests_to("GET", "/v1/secret/data/app");
    let tokens: std::collections::BTreeSet<_> = reads.iter().map(|read| read.token().unwrap()).collect();
    assert_eq!(tokens.len(), others.len());
}

#[tokio::test]
async fn a_token_near_its_end_is_replaced() {
    let setup = fake_vault_setup().await;
    let logins = (0..100).map(|n| ScriptedAnswer::login(&format!("hvs.short-{n}"), 3));
    setup.vault.script("POST", LOGIN, logins);
    let call = setup.call(&TestPod::new("shop", "web"), OBJECTS);
    until_true("a second login", async || {
        setup.csi.mount(&call).await.unwrap();
        setup.vault.logins() >= 2
    })
    .await;
}

#[tokio::test]
async fn a_revoked_token_leads_to_one_new_login_each_time() {
    let setup = setup().await;
    let call = setup.call(&TestPod::new("shop", "web"), OBJECTS);
    setup.csi.mount(&call).await.unwrap();
    for logins in [2, 3] {
        assert_eq!(setup.bao.revoke_login_tokens().await, 1);
        let mounted = setup.csi.mount(&call).await.expect("a new login helps");
        assert_eq!(mounted.text("f"), "v");
        assert_eq!(setup.bao.logins(), logins);
    }
}

#[tokio::test]
async fn a_repeated_denial_does_not_log_in_each_time() {
    let setup = setup().await;
    setup.bao.policy("nothing", r#"path "secret/data/other" { capabilities = ["read"] }"#).await;
    setup.bao.role("kubernetes", &JwtRole::new("denied", "nothing")).await;
    let call = setup.call(&TestPod::new("shop", "web"), OBJECTS).param("roleName", "denied");
    let mut messages = Vec::new();
    for _ in 0..6 {
        let refusal = setup.csi.mount(&call).await.unwrap_err();
        assert!(refusal.names(&["f", "secret/data/app", "permission denied"]), "{refusal:?}");
        messages.push(refusal.message);
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "the messages differ: {messages:?}");
    assert!(setup.bao.logins() <= 2, "{} logins for one denial", setup.bao.logins());
}

#[tokio::test]
async fn a_refused_login_names_auth_path_and_role() {
    let setup = setup().await;
    let pod = TestPod::new("shop", "web");
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let elsewhere = TokenRequest { audience: "elsewhere".to_owned(), ..TokenRequest::default() };
    let expired = TokenRequest { age: minutes(60), lasts: minutes(10), ..TokenRequest::default() };
    for (case, token) in [
        ("wrong audience", setup.issuer.token_with(&pod, &elsewhere)),
        ("expired", setup.issuer.token_with(&pod, &expired)),
        ("another issuer", TokenIssuer::new().token(&pod)),
        ("no token at all", "not a token".to_owned()),
    ] {
        let call = setup.call(&pod, OBJECTS).token("vault", &token);
        let refusal = setup.csi.mount(&call).await.unwrap_err();
        assert!(refusal.names(&["kubernetes", "web"]), "{case}: {refusal:?}");
        assert!(!refusal.message.contains(&token), "{case}: {refusal:?}");
    }
    let unknown_role = setup.call(&pod, OBJECTS).param("roleName", "nobody");
    let refusal = setup.csi.mount(&unknown_role).await.unwrap_err();
    assert!(refusal.names(&["nobody"]), "{refusal:?}");
    setup.csi.mount(&setup.call(&pod, OBJECTS)).await.expect("an earlier refusal is not cached");
}

#[tokio::test]
async fn a_login_answer_without_a_token_is_an_error_and_no_crash() {
    let setup = fake_vault_setup().await;
    for (case, answer) in [
        ("empty 200", ScriptedAnswer::empty(200)),
        ("204", ScriptedAnswer::empty(204)),
        ("an empty object", ScriptedAnswer::json(200, &json!({}))),
        ("null", ScriptedAnswer::raw(200, &[], "null")),
        ("auth is null", ScriptedAnswer::json(200, &json!({ "auth": null }))),
        ("auth is empty", ScriptedAnswer::json(200, &json!({ "auth": {} }))),
        ("an empty token", ScriptedAnswer::login("", 3600)),
        ("a token with a line break", ScriptedAnswer::login("hvs.a\nb", 3600)),
        ("auth is a list", ScriptedAnswer::json(200, &json!({ "auth": [1] }))),
        ("a page", ScriptedAnswer::html(200)),
        ("half an answer", ScriptedAnswer::closes_midway()),
        ("no answer", ScriptedAnswer::closes_at_once()),
    ] {
        setup.vault.script("POST", LOGIN, [answer]);
        let refusal = setup.mount(OBJECTS).await.expect_err(case);
        assert!(refusal.names(&["login"]), "{case}: {refusal:?}");
        setup.csi.version().await.expect("the process is still running");
    }
    setup.vault.script("POST", LOGIN, [ScriptedAnswer::login("hvs.good", 3600)]);
    assert_eq!(setup.mount(OBJECTS).await.unwrap().text("f"), "v");
}

#[tokio::test]
async fn a_mount_without_a_token_outside_a_cluster_says_what_to_do() {
    let setup = setup().await;
    let call = MountCall::new(&TestPod::new("shop", "web")).param("roleName", "web").objects(OBJECTS);
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["token", "tokenRequests"]), "{refusal:?}");
}

#[tokio::test]
async fn a_token_in_the_provider_s_environment_is_ignored_with_a_warning() {
    let setup = OpenBaoSetup::start_with(Csi::options().env("VAULT_TOKEN", "root-of-the-test")).await;
    setup.bao.kv_put("app", json!({ "k": "v" })).await;
    setup.bao.policy("web", r#"path "secret/data/other" { capabilities = ["read"] }"#).await;
    setup.mount(OBJECTS).await.expect_err("the root token would have read it");
    assert_eq!(setup.bao.logins(), 1);
    assert!(setup.csi.log().contains("VAULT_TOKEN"), "no warning: {}", setup.csi.log());
    assert!(!setup.csi.log().contains("root-of-the-test"));
}

#[tokio::test]
async fn a_full_cache_drops_tokens_and_still_serves() {
    let setup = FakeVaultSetup::start_with(Csi::options().flag("-cache-size=2")).await;
    setup.vault.script("GET", "/v1/secret/data/app", [ScriptedAnswer::app_secret()]);
    let pods: Vec<_> = (0..5).map(|_| TestPod::new("shop", "web")).collect();
    for pod in pods.iter().chain(&pods) {
        setup.csi.mount(&setup.call(pod, OBJECTS)).await.unwrap();
    }
    assert!(setup.vault.logins() > 5, "a cache of two held five tokens");
}
