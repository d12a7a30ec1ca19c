//! Logins: one token a pod and role, kept while it is good, never shared.

use std::time::Duration;

use coffer_tests::{Answer, Csi, FaultSite, MountCall, Pod, Role, Site, TokenRequest, until_true};
use futures_util::future::join_all;
use serde_json::json;

const OBJECTS: &str = "- {objectName: f, secretPath: secret/data/app, secretKey: k}";

async fn site() -> Site {
    let site = Site::start().await;
    site.bao.kv_put("app", json!({ "k": "v" })).await;
    site
}

async fn fault_site() -> FaultSite {
    let site = FaultSite::start().await;
    site.vault.script("GET", "/v1/secret/data/app", [Answer::secret(json!({ "k": "v" }))]);
    site
}

#[tokio::test]
async fn a_pod_logs_in_once_for_several_mounts() {
    let site = site().await;
    let pod = Pod::new("shop", "web");
    for _ in 0..5 {
        site.csi.mount(&site.call(&pod, OBJECTS)).await.unwrap();
    }
    assert_eq!(site.bao.logins(), 1);
    assert_eq!(site.bao.requests_to("secret/data/app"), 5);
}

#[tokio::test]
async fn mounts_of_a_pod_at_once_share_one_login() {
    let site = fault_site().await;
    let login = "/v1/auth/kubernetes/login";
    site.vault.script("POST", login, [Answer::login("hvs.one", 3600).held()]);
    let call = site.call(&Pod::new("shop", "web"), OBJECTS);
    let mounts = join_all((0..10).map(|_| site.csi.mount(&call)));
    let (mounted, ()) = tokio::join!(mounts, async {
        site.vault.took("POST", login, 1).await;
        site.vault.release();
    });
    mounted.into_iter().for_each(|mounted| assert_eq!(mounted.unwrap().text("f"), "v"));
    assert_eq!(site.vault.logins(), 1);
}

#[tokio::test]
async fn two_pods_never_share_a_token() {
    let site = fault_site().await;
    let (one, two) = (Pod::new("shop", "web"), Pod::new("shop", "web"));
    for pod in [&one, &two, &one, &two] {
        site.csi.mount(&site.call(pod, OBJECTS)).await.unwrap();
    }
    let reads = site.vault.requests_to("GET", "/v1/secret/data/app");
    let tokens: Vec<_> = reads.iter().map(|read| read.token().unwrap()).collect();
    assert_eq!(site.vault.logins(), 2);
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!((tokens[0], tokens[1]), (tokens[2], tokens[3]));
}

#[tokio::test]
async fn whatever_vault_may_decide_on_separates_tokens() {
    let site = fault_site().await;
    for path in ["/v1/auth/other/login", "/v1/auth/kubernetes/login"] {
        site.vault.script("POST", path, (0..20).map(|n| Answer::login(&format!("hvs.{path}-{n}"), 3600)));
    }
    let pod = Pod::new("shop", "web");
    let call = site.call(&pod, OBJECTS).token("elsewhere", &site.issuer.token(&pod));
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
        site.csi.mount(other).await.unwrap();
        assert_eq!(site.vault.logins(), n + 1, "{other:?}");
    }
    let reads = site.vault.requests_to("GET", "/v1/secret/data/app");
    let tokens: std::collections::BTreeSet<_> = reads.iter().map(|read| read.token().unwrap()).collect();
    assert_eq!(tokens.len(), others.len());
}

#[tokio::test]
async fn a_token_near_its_end_is_replaced() {
    let site = fault_site().await;
    let logins = (0..100).map(|n| Answer::login(&format!("hvs.short-{n}"), 3));
    site.vault.script("POST", "/v1/auth/kubernetes/login", logins);
    let call = site.call(&Pod::new("shop", "web"), OBJECTS);
    until_true("a second login", async || {
        site.csi.mount(&call).await.unwrap();
        site.vault.logins() >= 2
    })
    .await;
}

#[tokio::test]
async fn a_revoked_token_leads_to_one_new_login_each_time() {
    let site = site().await;
    let call = site.call(&Pod::new("shop", "web"), OBJECTS);
    site.csi.mount(&call).await.unwrap();
    for logins in [2, 3] {
        assert_eq!(site.bao.revoke_login_tokens().await, 1);
        let mounted = site.csi.mount(&call).await.expect("a new login helps");
        assert_eq!(mounted.text("f"), "v");
        assert_eq!(site.bao.logins(), logins);
    }
}

#[tokio::test]
async fn a_denial_repeated_makes_no_login_each_time() {
    let site = site().await;
    site.bao.policy("nothing", r#"path "secret/data/other" { capabilities = ["read"] }"#).await;
    site.bao.role("kubernetes", &Role::new("denied", "nothing")).await;
    let call = site.call(&Pod::new("shop", "web"), OBJECTS).param("roleName", "denied");
    let mut messages = Vec::new();
    for _ in 0..6 {
        let refusal = site.csi.mount(&call).await.unwrap_err();
        assert!(refusal.names(&["f", "secret/data/app", "permission denied"]), "{refusal:?}");
        messages.push(refusal.message);
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "the same denial reads the same: {messages:?}");
    assert!(site.bao.logins() <= 2, "{} logins for one denial", site.bao.logins());
}

#[tokio::test]
async fn a_login_that_vault_refuses_says_where_and_as_what() {
    let site = site().await;
    let pod = Pod::new("shop", "web");
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let elsewhere = TokenRequest { audience: "elsewhere".to_owned(), ..TokenRequest::default() };
    let expired = TokenRequest { age: minutes(60), lasts: minutes(10), ..TokenRequest::default() };
    for (case, token) in [
        ("wrong audience", site.issuer.token_with(&pod, &elsewhere)),
        ("expired", site.issuer.token_with(&pod, &expired)),
        ("another issuer", coffer_tests::Issuer::new().token(&pod)),
        ("no token at all", "not a token".to_owned()),
    ] {
        let call = site.call(&pod, OBJECTS).token("vault", &token);
        let refusal = site.csi.mount(&call).await.unwrap_err();
        assert!(refusal.names(&["kubernetes", "web"]), "{case}: {refusal:?}");
        assert!(!refusal.message.contains(&token), "{case}: {refusal:?}");
    }
    let unknown_role = site.call(&pod, OBJECTS).param("roleName", "nobody");
    let refusal = site.csi.mount(&unknown_role).await.unwrap_err();
    assert!(refusal.names(&["nobody"]), "{refusal:?}");
    site.csi.mount(&site.call(&pod, OBJECTS)).await.expect("no refusal is kept");
}

#[tokio::test]
async fn a_login_answer_without_a_token_is_an_error_and_no_crash() {
    let site = fault_site().await;
    for (case, answer) in [
        ("empty 200", Answer::empty(200)),
        ("204", Answer::empty(204)),
        ("an empty object", Answer::json(200, &json!({}))),
        ("null", Answer::raw(200, &[], "null")),
        ("auth is null", Answer::json(200, &json!({ "auth": null }))),
        ("auth is empty", Answer::json(200, &json!({ "auth": {} }))),
        ("an empty token", Answer::login("", 3600)),
        ("a token with a line break", Answer::login("hvs.a\nb", 3600)),
        ("auth is a list", Answer::json(200, &json!({ "auth": [1] }))),
        ("a page", Answer::html(200)),
        ("half an answer", Answer::closes_midway()),
        ("no answer", Answer::closes_at_once()),
    ] {
        site.vault.script("POST", "/v1/auth/kubernetes/login", [answer]);
        let refusal = site.mount(OBJECTS).await.expect_err(case);
        assert!(refusal.names(&["login"]), "{case}: {refusal:?}");
        site.csi.version().await.expect("the process lives");
    }
    site.vault.script("POST", "/v1/auth/kubernetes/login", [Answer::login("hvs.good", 3600)]);
    assert_eq!(site.mount(OBJECTS).await.unwrap().text("f"), "v");
}

#[tokio::test]
async fn a_mount_without_a_token_outside_a_cluster_says_what_to_do() {
    let site = site().await;
    let call = MountCall::new(&Pod::new("shop", "web")).param("roleName", "web").objects(OBJECTS);
    let refusal = site.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["token", "tokenRequests"]), "{refusal:?}");
}

#[tokio::test]
async fn a_token_in_the_provider_s_environment_is_ignored_with_a_warning() {
    let site = Site::start_with(Csi::options().env("VAULT_TOKEN", "root-of-the-test")).await;
    site.bao.kv_put("app", json!({ "k": "v" })).await;
    site.bao.policy("web", r#"path "secret/data/other" { capabilities = ["read"] }"#).await;
    site.mount(OBJECTS).await.expect_err("the root token would have read it");
    assert_eq!(site.bao.logins(), 1);
    assert!(site.csi.log().contains("VAULT_TOKEN"), "no warning: {}", site.csi.log());
    assert!(!site.csi.log().contains("root-of-the-test"));
}

#[tokio::test]
async fn a_full_cache_lets_tokens_go_and_still_serves() {
    let site = FaultSite::start_with(Csi::options().flag("-cache-size=2")).await;
    site.vault.script("GET", "/v1/secret/data/app", [Answer::secret(json!({ "k": "v" }))]);
    let pods: Vec<_> = (0..5).map(|_| Pod::new("shop", "web")).collect();
    for pod in pods.iter().chain(&pods) {
        site.csi.mount(&site.call(pod, OBJECTS)).await.unwrap();
    }
    assert!(site.vault.logins() > 5, "five tokens were kept in a cache of two");
}
