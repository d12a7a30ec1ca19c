//! What a scripted Vault answers.

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
    /// These bytes, then the next request.
    Write(Vec<u8>),
    /// These bytes, then the end of the connection.
    WriteAndClose(Vec<u8>),
    /// These bytes, then nothing until the server's release, then the end of the connection.
    WriteAndStall(Vec<u8>),
}

impl ScriptedAnswer {
    /// Status, headers and body as they are.
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

    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, &[("Content-Type", "application/json")], body.to_string())
    }

    /// A secret as an engine without versions answers it, with a request id and lease as Vault sends them.
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

    /// A successful login.
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

    /// An error in Vault's form.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "errors": [message] }))
    }

    /// 429 or 503 with a `Retry-After`.
    pub fn busy(status: u16, retry_after_seconds: u64) -> Self {
        let seconds = retry_after_seconds.to_string();
        let headers = [("Content-Type", "application/json"), ("Retry-After", seconds.as_str())];
        Self::raw(status, &headers, json!({ "errors": ["request path rate limit exceeded"] }).to_string())
    }

    /// The 503 of a sealed Vault.
    pub fn sealed() -> Self {
        Self::error(503, "Vault is sealed")
    }

    /// A status without a body.
    pub fn empty(status: u16) -> Self {
        Self::raw(status, &[], "")
    }

    /// A proxy's page.
    pub fn html(status: u16) -> Self {
        let page =
            "<!DOCTYPE html><html><head><title>Proxy</title></head><body><h1>Sign in</h1></body></html>";
        Self::raw(status, &[("Content-Type", "text/html")], page)
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::raw(status, &[("Location", location)], "")
    }

    /// A secret whose one value `blob` is that many bytes long.
    pub fn large(bytes: usize) -> Self {
        Self::secret(json!({ "blob": "x".repeat(bytes) }))
    }

    /// Half of an answer, then the end of the connection.
    pub fn closes_midway() -> Self {
        let half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{\"data\":{\"pass";
        Self::now(AnswerAction::WriteAndClose(half.into()))
    }

    /// The head of an answer of that many bytes, its first few, and no more before the server's
    /// [`release`](crate::FakeVault::release).
    pub fn stalls_midway(bytes: usize) -> Self {
        Self::now(AnswerAction::WriteAndStall(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n{{\"data\"").into(),
        ))
    }

    /// The end of the connection instead of an answer.
    pub fn closes_at_once() -> Self {
        Self::now(AnswerAction::WriteAndClose(Vec::new()))
    }

    /// No answer before the server's [`release`](crate::FakeVault::release), which may never come.
    pub fn hangs() -> Self {
        Self::empty(503).held()
    }

    /// This answer, but not before the server's [`release`](crate::FakeVault::release).
    #[must_use]
    pub fn held(self) -> Self {
        Self { held: true, ..self }
    }

    fn now(deed: AnswerAction) -> Self {
        Self { held: false, deed }
    }
}
