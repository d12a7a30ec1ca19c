//! What a Vault administrator does, with the root token over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::openbao::OpenBao;
use crate::token::TokenIssuer;

/// A role of the JWT auth method.
#[derive(Clone, Debug)]
pub struct JwtRole {
    /// The role's name.
    pub name: String,
    /// The one subject that may log in (`system:serviceaccount:NS:SA`); any subject if `None`.
    pub subject: Option<String>,
    /// The audience that tokens must have.
    pub audience: String,
    /// The policies of the tokens that Vault issues.
    pub policies: Vec<String>,
    /// The TTL of the tokens that Vault issues, as Vault writes it.
    pub ttl: String,
}

impl JwtRole {
    /// Returns a role for any subject and audience `vault`, with one policy and a TTL of an hour.
    pub fn new(name: &str, policy: &str) -> Self {
        Self {
            name: name.to_owned(),
            subject: None,
            audience: "vault".to_owned(),
            policies: vec![policy.to_owned()],
            ttl: "1h".to_owned(),
        }
    }
}

impl OpenBao {
    /// The root token.
    pub const ROOT_TOKEN: &str = "root-of-the-test";

    /// Makes a request with the root token, and returns the answer's JSON, or null if there is
    /// none.
    ///
    /// # Panics
    /// If OpenBao refuses the request.
    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        self.admin_in("", method, path, body).await
    }

    /// Makes a request with the root token; returns nothing if OpenBao refuses it.
    pub async fn try_admin(&self, method: Method, path: &str, body: &Value) -> Option<Value> {
        let request = self.http.request(method, format!("{}/v1/{path}", self.address()));
        let answer =
            request.header("X-Vault-Token", Self::ROOT_TOKEN).body(body.to_string()).send().await.ok()?;
        let answer = answer.error_for_status().ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    /// [`Self::admin`] in a namespace.
    ///
    /// # Panics
    /// If OpenBao refuses the request.
    pub async fn admin_in(&self, namespace: &str, method: Method, path: &str, body: Value) -> Value {
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.address()));
        request = request.header("X-Vault-Token", Self::ROOT_TOKEN).header("X-Vault-Namespace", namespace);
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap_or_else(|e| panic!("OpenBao does not answer {path}: {e}"));
        let status = answer.status();
        let text = answer.text().await.expect("an answer in text");
        assert!(status.is_success(), "OpenBao answers {status} for {path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Makes a request with the root token, and returns the HTTP status.
    ///
    /// # Panics
    /// If OpenBao does not answer.
    pub async fn http_status(&self, method: Method, path: &str, body: Value) -> u16 {
        let request = self.http.request(method, format!("{}/v1/{path}", self.address()));
        let request = request.header("X-Vault-Token", Self::ROOT_TOKEN).body(body.to_string());
        request.send().await.expect("an answer").status().as_u16()
    }

    /// Mounts a secrets engine.
    pub async fn mount_engine(&self, path: &str, engine: &str, options: Value) {
        let body = json!({ "type": engine, "options": options });
        self.admin(Method::POST, &format!("sys/mounts/{path}"), body).await;
    }

    /// Writes a secret into the KV v2 engine at `secret/`.
    pub async fn kv_put(&self, name: &str, data: Value) {
        self.admin(Method::POST, &format!("secret/data/{name}"), json!({ "data": data })).await;
    }

    /// Deletes the newest version of a KV v2 secret, as `bao kv delete` does.
    pub async fn kv_delete(&self, name: &str) {
        self.admin(Method::DELETE, &format!("secret/data/{name}"), Value::Null).await;
    }

    /// Writes a policy.
    pub async fn policy(&self, name: &str, rules: &str) {
        self.admin(Method::POST, &format!("sys/policies/acl/{name}"), json!({ "policy": rules })).await;
    }

    /// Enables JWT logins at `auth/<mount>` for the issuer's tokens.
    pub async fn jwt_login(&self, mount: &str, issuer: &TokenIssuer) {
        self.admin(Method::POST, &format!("sys/auth/{mount}"), json!({ "type": "jwt" })).await;
        let keys = json!({ "jwt_validation_pubkeys": [issuer.public_key_pem()] });
        self.admin(Method::POST, &format!("auth/{mount}/config"), keys).await;
    }

    /// Writes a role of the auth method at `auth/<mount>`.
    pub async fn role(&self, mount: &str, role: &JwtRole) {
        let JwtRole { name, subject, audience, policies, ttl } = role;
        let mut body = json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [audience],
            "token_policies": policies,
            "token_ttl": ttl,
        });
        if let Some(subject) = subject {
            body["bound_subject"] = json!(subject);
        }
        self.admin(Method::POST, &format!("auth/{mount}/role/{name}"), body).await;
    }

    /// Revokes all tokens that logins have issued, and returns their number.
    ///
    /// # Panics
    /// If OpenBao's list of tokens is not a list.
    pub async fn revoke_login_tokens(&self) -> usize {
        let listed =
            self.admin(Method::from_bytes(b"LIST").expect("a method"), "auth/token/accessors", Value::Null);
        let listed = listed.await;
        let mut revoked = 0;
        for accessor in listed["data"]["keys"].as_array().expect("accessors") {
            let accessor = json!({ "accessor": accessor });
            let token = self.admin(Method::POST, "auth/token/lookup-accessor", accessor.clone()).await;
            if token["data"]["path"].as_str().is_some_and(|path| path.ends_with("/login")) {
                self.admin(Method::POST, "auth/token/revoke-accessor", accessor).await;
                revoked += 1;
            }
        }
        revoked
    }

    /// Seals the server: from now on it answers 503.
    pub async fn seal(&self) {
        self.admin(Method::POST, "sys/seal", Value::Null).await;
    }

    /// Unseals the server with the key that dev mode printed at the start.
    ///
    /// # Panics
    /// If the key was not printed, or does not unseal the server.
    pub async fn unseal(&self) {
        let key = self.unseal_key();
        let answer = self.admin(Method::POST, "sys/unseal", json!({ "key": key })).await;
        assert_eq!(answer["sealed"], false);
    }

    /// Returns the key that dev mode printed at the start.
    ///
    /// # Panics
    /// If the key was not printed.
    pub fn unseal_key(&self) -> String {
        let log = self.process().log();
        let key = log.lines().find_map(|line| line.strip_prefix("Unseal Key: "));
        key.expect("a key").to_owned()
    }

    pub(crate) async fn kv_is_ready(&self) -> bool {
        let url = format!("{}/v1/secret/config", self.address());
        let answer = self.http.get(url).header("X-Vault-Token", Self::ROOT_TOKEN).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}
