//! The OpenBao under load: one secret, one role, and a count of its requests.

use coffer_tests::{
    MountCall, OpenBao, OpenBaoSetup, ScrapedMetrics, TestPod, TokenIssuer, call_as_web, http_client,
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

/// An OpenBao with the secrets that the benchmarks read.
pub(crate) struct BenchVault {
    bao: OpenBao,
    issuer: TokenIssuer,
}

const OBJECTS: &str = "\
- {objectName: username, secretPath: secret/data/app, secretKey: username}
- {objectName: password, secretPath: secret/data/app, secretKey: password}
";

impl BenchVault {
    /// Starts OpenBao, and writes the secret, its policy and the role.
    pub(crate) async fn start() -> Self {
        let bao = OpenBao::start_unaudited().await;
        let issuer = TokenIssuer::new();
        OpenBaoSetup::prepare(&bao, &issuer).await;
        bao.kv_put("app", json!({ "username": "ada", "password": "correct-horse-battery-staple" })).await;
        let keys = (0..50).map(|n| (format!("KEY_{n}"), json!(format!("value {n} of fifty"))));
        bao.kv_put("keys", keys.collect::<serde_json::Map<_, _>>().into()).await;
        Self { bao, issuer }
    }

    pub(crate) fn address(&self) -> &str {
        self.bao.address()
    }

    /// Returns the URL of the secret.
    pub(crate) fn secret_url(&self) -> String {
        format!("{}/v1/secret/data/app", self.address())
    }

    /// Returns a new pod's call.
    pub(crate) fn call(&self) -> MountCall {
        self.call_for(OBJECTS)
    }

    /// Returns a new pod's call for these objects.
    pub(crate) fn call_for(&self, objects: &str) -> MountCall {
        call_as_web(&self.issuer, &TestPod::new("shop", "web"), objects)
    }

    /// Logs in as a new pod, and returns the token.
    pub(crate) async fn pod_token(&self) -> String {
        login(self.address(), "web", &self.issuer.token(&TestPod::new("shop", "web"))).await
    }

    /// Returns a GET of the secret with a pod's token.
    pub(crate) async fn get(&self) -> RequestBuilder {
        http_client().get(self.secret_url()).header("X-Vault-Token", self.pod_token().await)
    }

    /// Returns how many requests and logins OpenBao has handled, by its own count.
    pub(crate) async fn requests(&self) -> f64 {
        // OpenBao samples its gauges from time to time; its counters rise at once.
        let url = format!("{}/v1/sys/metrics?format=prometheus", self.address());
        let answer = http_client().get(url).header("X-Vault-Token", OpenBao::ROOT_TOKEN).send().await;
        let metrics = ScrapedMetrics(answer.expect("the metrics").text().await.expect("their text"));
        let names = ["vault_core_handle_request_count", "vault_core_handle_login_request_count"];
        names.iter().map(|name| metrics.sum(name, &[])).sum()
    }
}

/// Logs in at `auth/kubernetes`, and returns the token. Everything that is compared reads with a
/// token of a login: the root token skips policies and identity, and makes a read twice as fast.
pub(crate) async fn login(vault: &str, role: &str, jwt: &str) -> String {
    let body = json!({ "role": role, "jwt": jwt });
    let login = http_client().post(format!("{vault}/v1/auth/kubernetes/login")).body(body.to_string());
    let answer = login.send().await.expect("a login").bytes().await.expect("its answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    answer["auth"]["client_token"].as_str().expect("a token").to_owned()
}
