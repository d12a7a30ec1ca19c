//! The answers of a fake Vault.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One scripted answer of the [`FakeVault`](crate::FakeVault).
#[derive(Clone, Debug)]
pub struct ScriptedAnswer {
    pub(crate) held: bool,
    pub(crate) deed: AnswerAction,
}

#[derive(Clone, Debug)]
pub(crate) enum AnswerAction {
    /// Sends these bytes, then serves the next request.
    Write(Vec<u8>),
    /// Sends these bytes, then closes the connection.
    WriteAndClose(Vec<u8>),
    /// Sends these bytes, then nothing until the server's release, then closes the connection.
    WriteAndStall(Vec<u8>),
}

impl ScriptedAnswer {
    /// Returns an answer with this status, these headers and this body.
    pub fn raw(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if status != 204 {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        Self::now(AnswerAction::Write([head.as_bytes(), body].concat()))
    }

    /// Returns a JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, &[("Content-Type", "application/json")], body.to_string())
    }

    /// Returns a secret of an engine without versions, with request id and lease as Vault sends
    /// them.
    pub fn secret(data: Value) -> Self {
        Self::json(
            200,
            &json!({
                "request_id": "11111111-2222-4333-8444-555555555555",
                "lease_id": "",
                "lease_duration": 2_764_800,
                "renewable": false,
                "data": data,
                "warnings": null,
            }),
        )
    }

    /// Returns the secret `kv/app` for [`READ_APP`](crate::READ_APP): value `v` at key `k`.
    pub fn app_secret() -> Self {
        Self::secret(json!({ "k": "v" }))
    }

    /// Returns a successful login.
    pub fn login(token: &str, ttl_seconds: u64) -> Self {
        Self::json(
            200,
            &json!({
                "request_id": "11111111-2222-4333-8444-666666666666",
                "lease_id": "",
                "lease_duration": 0,
                "renewable": false,
                "data": null,
                "warnings": null,
                "auth": {
                    "client_token": token,
                    "accessor": "accessor-of-the-fault-server",
                    "policies": ["default", "web"],
                    "token_policies": ["default", "web"],
                    "metadata": { "role": "web" },
                    "lease_duration": ttl_seconds,
                    "renewable": true,
                    "entity_id": "entity",
                    "token_type": "service",
                    "orphan": true,
                },
            }),
        )
    }

    /// Returns an error in Vault's format.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "errors": [message] }))
    }

    /// Returns 429 or 503 with a `Retry-After`.
    pub fn busy(status: u16, retry_after_seconds: u64) -> Self {
        let seconds = retry_after_seconds.to_string();
        let headers = [("Content-Type", "application/json"), ("Retry-After", seconds.as_str())];
        Self::raw(status, &headers, json!({ "errors": ["request path rate limit exceeded"] }).to_string())
    }

    /// Returns the 503 of a sealed Vault.
    pub fn sealed() -> Self {
        Self::error(503, "Vault is sealed")
    }

    /// Returns a status without a body.
    pub fn empty(status: u16) -> Self {
        Self::raw(status, &[], "")
    }

    /// Returns the HTML page of a proxy.
    pub fn html(status: u16) -> Self {
        let page =
            "<!DOCTYPE html><html><head><title>Proxy</title></head><body><h1>Sign in</h1></body></html>";
        Self::raw(status, &[("Content-Type", "text/html")], page)
    }

    /// Returns a redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::raw(status, &[("Location", location)], "")
    }

    /// Returns a secret with one value `blob` of that many bytes.
    pub fn large(bytes: usize) -> Self {
        Self::secret(json!({ "blob": "x".repeat(bytes) }))
    }

    /// Returns half of an answer, then closes the connection.
    pub fn closes_midway() -> Self {
        let half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{\"data\":{\"pass";
        Self::now(AnswerAction::WriteAndClose(half.into()))
    }

    /// Returns the head and first bytes of an answer of that length, then nothing before the
    /// server's [`release`](crate::FakeVault::release).
    pub fn stalls_midway(bytes: usize) -> Self {
        Self::now(AnswerAction::WriteAndStall(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n{{\"data\"").into(),
        ))
    }

    /// Closes the connection without an answer.
    pub fn closes_at_once() -> Self {
        Self::now(AnswerAction::WriteAndClose(Vec::new()))
    }

    /// Does not answer before the server's [`release`](crate::FakeVault::release), which may never
    /// come.
    pub fn hangs() -> Self {
        Self::empty(503).held()
    }

    /// Holds this answer back until the server's [`release`](crate::FakeVault::release).
    #[must_use]
    pub fn held(self) -> Self {
        Self { held: true, ..self }
    }

    fn now(deed: AnswerAction) -> Self {
        Self { held: false, deed }
    }
}
