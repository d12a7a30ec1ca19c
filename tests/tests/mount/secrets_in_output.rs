//! No token, secret or request argument appears in a log, a metric or an error, at any log level.

use coffer_tests::{Csi, FakeVaultSetup, HMAC_KEY, LOGIN, MountCall, ScriptedAnswer, TestPod};
use serde_json::json;

const VALUE: &str = "s3cret-value-of-vault";
const ARGUMENT: &str = "s3cret-argument-of-the-class";
const LOGIN_TOKEN: &str = "hvs.s3cret-token-of-the-login";

/// A provider, the errors that it returned, and the secrets that must not appear.
struct Scenario {
    setup: FakeVaultSetup,
    errors: Vec<String>,
    secrets: Vec<String>,
}

impl Scenario {
    async fn start(flags: &[&str]) -> Self {
        let options = flags.iter().fold(Csi::options(), |options, flag| options.flag(*flag));
        let setup =
            FakeVaultSetup::start_with(options.env("VAULT_TOKEN", "s3cret-token-of-the-environment")).await;
        let logins = [ScriptedAnswer::login(LOGIN_TOKEN, 3600)];
        setup.vault.script("POST", LOGIN, logins);
        let secrets = [VALUE, ARGUMENT, LOGIN_TOKEN, "s3cret", "czNjcmV0"].map(str::to_owned).to_vec();
        let mut scenario = Self { setup, errors: Vec::new(), secrets };
        let key = String::from_utf8(HMAC_KEY.to_vec()).unwrap();
        scenario.secrets.extend([data_encoding::HEXLOWER.encode(HMAC_KEY), key]);
        scenario
    }

    async fn mount(&mut self, call: &MountCall) {
        if let Err(refusal) = self.setup.csi.mount(call).await {
            self.errors.push(refusal.message);
        }
    }

    async fn read(&mut self, path: &str, answer: ScriptedAnswer) {
        self.setup.vault.script("GET", &format!("/v1/{path}"), [answer]);
        let objects = format!("- {{objectName: f, secretPath: {path}, secretKey: k}}");
        let call = self.call(&objects);
        self.mount(&call).await;
    }

    fn call(&mut self, objects: &str) -> MountCall {
        let pod = TestPod::new("shop", "web");
        let token = self.setup.issuer.token(&pod);
        // A JWT's header is not secret; its claims and its signature are.
        self.secrets.extend(token.split('.').skip(1).map(str::to_owned));
        let timeout = std::time::Duration::from_secs(12);
        MountCall::new(&pod)
            .token("vault", &token)
            .param("roleName", "web")
            .objects(objects)
            .timeout(Some(timeout))
    }

    async fn assert_nothing_leaked(&self) {
        let log = self.setup.csi.log();
        let metrics = self.setup.csi.metrics().await.0;
        assert!(!self.errors.is_empty() && !log.is_empty());
        let everything = self.errors.iter().chain([&log, &metrics]);
        for text in everything {
            for secret in &self.secrets {
                let at = text.find(secret.as_str());
                assert!(at.is_none(), "{secret:?} in:\n{}", excerpt(text, at.unwrap_or(0)));
            }
        }
    }
}

fn excerpt(text: &str, at: usize) -> String {
    let start = text[..at].char_indices().rev().nth(300).map_or(0, |(start, _)| start);
    text[start..].chars().take(700).collect()
}

async fn run(flags: &[&str]) {
    let mut scenario = Scenario::start(flags).await;
    let good = json!({ "k": VALUE, "other": [VALUE], "n": 1 });
    scenario.read("kv/app", ScriptedAnswer::secret(good.clone())).await;
    scenario.read("kv/text", ScriptedAnswer::json(200, &json!({ "data": VALUE }))).await;
    scenario.read("kv/cut", ScriptedAnswer::raw(200, &[], format!(r#"{{"data":{{"k":"{VALUE}""#))).await;
    scenario
        .read(
            "kv/twisted",
            ScriptedAnswer::raw(200, &[], format!(r#"{{"lease_duration":"{VALUE}","data":[]}}"#)),
        )
        .await;
    scenario.read("kv/page", ScriptedAnswer::raw(502, &[], format!("<html>{VALUE}</html>"))).await;
    scenario.read("kv/plain-error", ScriptedAnswer::raw(500, &[], VALUE)).await;
    scenario.read("kv/half", ScriptedAnswer::closes_midway()).await;
    scenario
        .read("kv/away", ScriptedAnswer::redirect(307, &format!("http://127.0.0.1:9/v1/kv?x={VALUE}")))
        .await;
    scenario.read("kv/denied", ScriptedAnswer::error(403, "permission denied")).await;
    scenario.read("kv/missing", ScriptedAnswer::secret(json!({ VALUE: VALUE }))).await;

    let issue = |path: &str, key: &str| {
        format!(
            "- {{objectName: f, secretPath: {path}, secretKey: {key}, method: POST, secretArgs: {{plaintext: {ARGUMENT}}}}}"
        )
    };
    scenario.setup.vault.script("POST", "/v1/transit/good", [ScriptedAnswer::secret(good)]);
    scenario.setup.vault.script("POST", "/v1/transit/bad", [ScriptedAnswer::error(400, "bad request")]);
    for objects in [
        issue("transit/good", "k"),
        issue("transit/good", "none"),
        issue("transit/bad", "k"),
        issue("transit/closed", "k").replace("POST", "DELETE"),
        format!("- {{objectName: f, secretPath: kv/app, secretArgs: {{a: {ARGUMENT}, a: {ARGUMENT}}}}}"),
        format!("- {{objectName: f, secretPath: kv/app, secretArgs: {ARGUMENT}}}"),
        format!("- {{objectName: f, secretPath: kv/app, secretArgs: {{a: \"{ARGUMENT}"),
        "- {objectName: f, secretPath: kv/app, secretKey: k, encoding: base64}".to_owned(),
        "- {objectName: f, secretPath: kv/app, secretKey: k, encoding: hex}".to_owned(),
    ] {
        let call = scenario.call(&objects);
        scenario.mount(&call).await;
    }

    let call = scenario.call("- {objectName: f, secretPath: kv/app, secretKey: k}");
    let attributes = call.request().attributes;
    for broken in [
        attributes[..attributes.len() - 1].to_owned(),
        attributes.replace("\\\"token\\\":", "\\\"token\\\""),
        attributes.replace("\\\"vault\\\":", "\\\"elsewhere\\\":"),
        attributes.replace("\"{\\\"vault", "\"x{\\\"vault"),
    ] {
        assert_ne!(broken, attributes);
        scenario.mount(&call.clone().raw_attributes(&broken)).await;
    }
    for answer in [
        ScriptedAnswer::raw(200, &[], format!(r#"{{"auth":{{"client_token":"{LOGIN_TOKEN}""#)),
        ScriptedAnswer::html(502),
    ] {
        scenario.setup.vault.script("POST", LOGIN, [answer]);
        let call = scenario.call("- {objectName: f, secretPath: kv/app, secretKey: k}");
        scenario.mount(&call).await;
    }
    assert!(scenario.errors.len() >= 15, "only {} errors: {:?}", scenario.errors.len(), scenario.errors);
    scenario.assert_nothing_leaked().await;
}

#[tokio::test]
async fn at_level_info() {
    run(&[]).await;
}

#[tokio::test]
async fn at_level_debug_as_json() {
    run(&["-log-level=debug", "-log-format=json"]).await;
}

#[tokio::test]
async fn at_level_trace() {
    run(&["-log-level=trace"]).await;
}

/// A Vault, or a proxy in front of it, may echo what it was sent.
#[tokio::test]
async fn even_when_vault_s_error_contains_it() {
    let mut scenario = Scenario::start(&["-log-level=trace"]).await;
    let call = scenario.call("- {objectName: f, secretPath: kv/app, secretKey: k}");
    scenario.setup.vault.script(
        "GET",
        "/v1/kv/app",
        [ScriptedAnswer::error(400, &format!("bad token {LOGIN_TOKEN}"))],
    );
    scenario.mount(&call).await;

    let issue = format!(
        "- {{objectName: f, secretPath: transit/x, secretKey: k, method: POST, secretArgs: {{plaintext: {ARGUMENT}}}}}"
    );
    scenario.setup.vault.script(
        "POST",
        "/v1/transit/x",
        [ScriptedAnswer::error(400, &format!("bad {ARGUMENT}"))],
    );
    let call = scenario.call(&issue);
    scenario.mount(&call).await;

    let objects = "- {objectName: f, secretPath: kv/app, secretKey: k}";
    let call = scenario.call(objects);
    let claims = scenario.secrets.last().unwrap().clone();
    let request = call.request().attributes;
    let start = request.find("eyJ").unwrap();
    let jwt: String =
        request[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    assert!(jwt.contains(&claims));
    scenario.setup.vault.script("POST", LOGIN, [ScriptedAnswer::error(400, &format!("bad jwt {jwt}"))]);
    scenario.mount(&call).await;

    assert_eq!(scenario.errors.len(), 3, "{:?}", scenario.errors);
    scenario.assert_nothing_leaked().await;
}
