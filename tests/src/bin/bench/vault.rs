//! The OpenBao under load: one secret, one role, and a count of its requests.

use coffer_tests::{MountCall, OpenBao, OpenBaoSetup, TestPod, TokenIssuer, call_as_web, http_client};
use serde_json::{Value, json};

/// An OpenBao with the secret that everything in the benchmark reads.
pub(crate) struct Vault {
    bao: OpenBao,
    issuer: TokenIssuer,
}

const OBJECTS: &str = "\
- {objectName: username, secretPath: secret/data/app, secretKey: username}
- {objectName: password, secretPath: secret/data/app, secretKey: password}
";

impl Vault {
    pub(crate) async fn prepare(bao: OpenBao) -> Self {
        let issuer = TokenIssuer::new();
        OpenBaoSetup::prepare(&bao, &issuer).await;
        bao.kv_put("app", json!({ "username": "ada", "password": "correct-horse-battery-staple" })).await;
        Self { bao, issuer }
    }

    pub(crate) fn address(&self) -> &str {
        self.bao.address()
    }

    /// A new pod's call.
    pub(crate) fn call(&self) -> MountCall {
        call_as_web(&self.issuer, &TestPod::new("shop", "web"), OBJECTS)
    }

    /// A GET of the same secret, with a pod's token.
    pub(crate) async fn get(&self, client: &reqwest::Client) -> reqwest::RequestBuilder {
        let body = json!({ "role": "web", "jwt": self.issuer.token(&TestPod::new("shop", "web")) });
        let login =
            client.post(format!("{}/v1/auth/kubernetes/login", self.address())).body(body.to_string());
        let answer = login.send().await.expect("a login").bytes().await.expect("its answer");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let token = answer["auth"]["client_token"].as_str().expect("a token");
        let get = client.get(format!("{}/v1/secret/data/app", self.address()));
        get.header("X-Vault-Token", token)
    }

    /// How many requests and logins OpenBao has handled, by its own count.
    pub(crate) async fn requests(&self) -> f64 {
        // Its metrics are sampled now and then; the counts of a kind rise at once.
        let url = format!("{}/v1/sys/metrics?format=prometheus", self.address());
        let answer = http_client().get(url).header("X-Vault-Token", OpenBao::ROOT_TOKEN).send().await;
        let text = answer.expect("the metrics").text().await.expect("their text");
        let metrics = coffer_tests::ScrapedMetrics(text);
        let names = ["vault_core_handle_request_count", "vault_core_handle_login_request_count"];
        names.iter().map(|name| metrics.sum(name, &[])).sum()
    }
}
