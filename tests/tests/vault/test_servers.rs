//! The harness itself: OpenBao, the fake Vault and the token issuer.

use coffer_tests::{
    FakeVault, JwtRole, OpenBao, OpenBaoSetup, ScriptedAnswer, TestCa, TestPod, TokenIssuer, TokenRequest,
    http_client,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

async fn login(bao: &OpenBao, role: &str, token: &str) -> (StatusCode, Value) {
    let url = format!("{}/v1/auth/kubernetes/login", bao.address());
    let body = json!({ "role": role, "jwt": token }).to_string();
    let answer = http_client().post(url).body(body).send().await.unwrap();
    (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn read(bao: &OpenBao, path: &str, token: &str) -> StatusCode {
    let url = format!("{}/v1/{path}", bao.address());
    http_client().get(url).header("X-Vault-Token", token).send().await.unwrap().status()
}

#[tokio::test]
async fn openbao_accepts_a_pod_s_token_and_counts_requests() {
    let (bao, issuer) = OpenBaoSetup::vault().await;
    bao.kv_put("app", json!({ "password": "s3cret" })).await;
    assert_eq!(bao.requests(), [], "the administrator's requests do not count");

    let (status, answer) = login(&bao, "web", &issuer.token(&TestPod::new("shop", "web"))).await;
    assert_eq!(status, 200, "{answer}");
    let token = answer["auth"]["client_token"].as_str().unwrap();
    assert_eq!(read(&bao, "secret/data/app", token).await, 200);

    assert_eq!(bao.logins(), 1);
    let requests = bao.requests();
    let asked: Vec<_> = requests.iter().map(|r| (r.operation.as_str(), r.path.as_str())).collect();
    assert_eq!(asked, [("update", "auth/kubernetes/login"), ("read", "secret/data/app")]);

    assert_eq!(bao.revoke_login_tokens().await, 1);
    assert_eq!(read(&bao, "secret/data/app", token).await, 403);
}

#[tokio::test]
async fn openbao_refuses_tokens_of_another_audience_subject_issuer_or_time() {
    let (bao, issuer) = OpenBaoSetup::vault().await;
    let pod = TestPod::new("shop", "web");
    bao.role("kubernetes", &JwtRole { subject: Some(pod.subject()), ..JwtRole::new("bound", "web") }).await;
    assert_eq!(login(&bao, "bound", &issuer.token(&pod)).await.0, 200);

    let elsewhere = TokenRequest { audience: "elsewhere".to_owned(), ..TokenRequest::default() };
    let old = TokenRequest { age: std::time::Duration::from_secs(7200), ..TokenRequest::default() };
    for (case, token) in [
        ("audience", issuer.token_with(&pod, &elsewhere)),
        ("time", issuer.token_with(&pod, &old)),
        ("subject", issuer.token(&TestPod::new("shop", "other"))),
        ("issuer", TokenIssuer::new().token(&pod)),
    ] {
        let (status, answer) = login(&bao, "bound", &token).await;
        assert!(status.is_client_error(), "another {case} is let in: {answer}");
    }
}

#[tokio::test]
async fn openbao_serves_its_unix_socket_and_can_be_sealed() {
    let bao = OpenBao::start().await;
    assert!(bao.socket().exists());
    bao.seal().await;
    assert_eq!(read(&bao, "secret/data/app", "any").await, 503);
}

#[tokio::test]
async fn the_fake_vault_answers_by_script_and_records() {
    let vault = FakeVault::start().await;
    vault.script("GET", "/v1/kv/a", [ScriptedAnswer::error(500, "oh"), ScriptedAnswer::app_secret()]);
    let client = http_client();
    let url = format!("{}/v1/kv/a?x=1", vault.address());
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = client.get(&url).header("X-Vault-Token", "t").send().await.unwrap();
        answers.push(answer.status().as_u16());
    }
    assert_eq!(answers, [500, 200, 200]);

    let requests = vault.requests_to("GET", "/v1/kv/a");
    assert_eq!(requests.len(), 3);
    assert_eq!((requests[0].query.as_str(), requests[0].token()), ("x=1", Some("t")));

    let body = json!({ "role": "web", "jwt": "j" });
    let login = client.post(format!("{}/v1/auth/kubernetes/login", vault.address()));
    let answer = login.body(body.to_string()).send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("client_token"), "{answer}");
    assert_eq!(vault.requests().last().unwrap().json(), body);
}

#[tokio::test]
async fn the_fake_vault_holds_answers_and_breaks_off() {
    let vault = FakeVault::start().await;
    vault.script("GET", "/v1/kv/held", [ScriptedAnswer::app_secret().held()]);
    vault.script("GET", "/v1/kv/half", [ScriptedAnswer::closes_midway()]);
    vault.script("GET", "/v1/kv/none", [ScriptedAnswer::closes_at_once()]);
    let (client, address) = (http_client(), vault.address().to_owned());

    let held = tokio::spawn(client.get(format!("{address}/v1/kv/held")).send());
    vault.took("GET", "/v1/kv/held", 1).await;
    assert!(!held.is_finished());
    vault.release();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);

    let half = client.get(format!("{address}/v1/kv/half")).send().await.unwrap();
    assert!(half.bytes().await.is_err(), "an incomplete answer is an error");
    assert!(client.get(format!("{address}/v1/kv/none")).send().await.is_err());
}

#[tokio::test]
async fn the_fake_vault_serves_tls() {
    let ca = TestCa::new();
    let vault = FakeVault::start_tls(&ca).await;
    let url = format!("{}/v1/kv/a", vault.address());
    assert!(http_client().get(&url).send().await.is_err(), "the authority is unknown");

    let pem = std::fs::read(ca.certificate_file()).unwrap();
    let trusted = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().build().unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().status(), 404);
}
