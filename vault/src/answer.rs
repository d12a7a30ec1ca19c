//! Vault's answers, and the JSON envelope that all answers share. Reading an answer copies no
//! secret.

use std::time::Duration;

use coffer_shares::Share;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::json::index::{BYTES_PER_VALUE, JsonIndex, NotIndexed};
use crate::json::{JsonHandle, JsonValue};
use crate::refusal::{Confidential, refusal};
use crate::{Secret, is_header_text};

/// Maximum length of a token, in bytes. Batch tokens, the longest, have some hundred.
const MAX_TOKEN: usize = 8 << 10;

/// Maximum length of a lease ID, in bytes. Vault's end in 24 random characters after the path.
const MAX_LEASE_ID: usize = 2 << 10;

/// A successful answer: a JSON object, its index, and the memory that both take.
#[derive(Debug)]
pub struct Answer {
    body: Secret,
    index: JsonIndex,
    memory: Option<Share>,
}

/// The fields of an answer, borrowed from its body.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    fields: JsonValue<'a>,
}

/// The token that a login or a token's renewal returned.
#[derive(Debug)]
pub struct Login {
    /// The token.
    pub token: Secret,
    /// The token's TTL; none if the token does not end.
    pub ttl: Option<Duration>,
    /// The number of requests that Vault accepts the token for; 0 is no limit.
    pub uses: u64,
    /// Whether Vault renews the token.
    pub renewable: bool,
}

/// What Vault granted with an answer, besides the data.
#[derive(Debug)]
pub enum Grant {
    /// A lease.
    Lease(LeaseGrant),
    /// A certificate without a lease.
    Certificate(CertificateGrant),
    /// A Vault token.
    Token,
    /// Nothing was issued.
    Nothing,
}

/// A lease that was granted: Vault revokes what was issued when the lease ends.
#[derive(Debug)]
pub struct LeaseGrant {
    /// The lease ID, `lease_id`.
    pub id: String,
    /// The lease's TTL.
    pub duration: Duration,
    /// Whether Vault renews the lease.
    pub renewable: bool,
}

/// A certificate that Vault issued without a lease.
#[derive(Debug)]
pub struct CertificateGrant {
    /// The end of its validity, in seconds since 1970.
    pub expiration: u64,
}

impl Answer {
    /// Returns the answer of a response with a success status, else the failure. The values of
    /// `confidential` are removed from Vault's error text.
    pub(crate) fn new(exchange: Exchange, confidential: &Confidential<'_>) -> Result<Self, Failure> {
        let Exchange { status, headers, body, json, memory } = exchange;
        // Vault itself never answers so
        if status == 407 {
            return Err(Failure::ProxyCredentials);
        }
        if !(200..300).contains(&status) {
            let fields = json.as_ref().ok().map(|index| index.root(body.expose()));
            return Err(Failure::Refused(refusal(status, &headers, fields, confidential)));
        }
        if body.expose().trim_ascii().is_empty() {
            return Err(Failure::Empty(status));
        }
        match json {
            Ok(index) if index.root(body.expose()).is_object() => {
                Ok(Self { body, index, memory: Some(memory) })
            }
            Err(NotIndexed::TooDeep) => Err(Failure::TooDeep),
            Err(NotIndexed::TooManyValues) => Err(Failure::TooManyValues),
            Ok(_) | Err(NotIndexed::NotJson) => {
                Err(Failure::NotVault(description(content_type(&headers), body.expose())))
            }
        }
    }

    /// Returns the answer that had this body before; none if the body is not JSON. Its memory is
    /// counted by [`Self::count_memory`].
    #[must_use]
    pub fn from_body(body: Secret) -> Option<Self> {
        let index = JsonIndex::of(body.expose()).ok()?;
        Some(Self { body, index, memory: None })
    }

    /// Sets the memory that the answer takes, see [`Self::bytes`].
    pub fn count_memory(&mut self, memory: Share) {
        self.memory = Some(memory);
    }

    /// Returns the memory of body and index, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.capacity() + self.index.len() * BYTES_PER_VALUE
    }

    /// Gives back the memory that a buffer has beyond its content, for an answer that is kept.
    pub fn shrink(&mut self) {
        self.body.shrink();
        let bytes = self.bytes();
        if let Some(memory) = &mut self.memory {
            memory.shrink_to(bytes);
        }
    }

    /// Returns the body, a JSON object.
    #[must_use]
    pub fn body(&self) -> &Secret {
        &self.body
    }

    /// Returns what Vault granted with the answer. A certificate counts only if `issued`: the
    /// request was a POST or PUT.
    #[must_use]
    pub fn grant(&self, issued: bool) -> Grant {
        let envelope = self.envelope();
        if let Some(lease) = envelope.lease() {
            Grant::Lease(lease)
        } else if envelope.field("auth").is_some() {
            Grant::Token
        } else {
            let certificate = issued.then(|| envelope.certificate()).flatten();
            certificate.map_or(Grant::Nothing, Grant::Certificate)
        }
    }

    /// Returns the whole body as a value.
    #[must_use]
    pub fn root(&self) -> JsonValue<'_> {
        self.index.root(self.body.expose())
    }

    /// Returns the value with this handle, of a value of this answer.
    #[must_use]
    pub fn value(&self, handle: JsonHandle) -> JsonValue<'_> {
        self.root().of_handle(handle)
    }

    /// Returns the fields of the envelope.
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope { fields: self.root() }
    }
}

impl<'a> Envelope<'a> {
    /// Returns a field; none if the field is missing or null.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<JsonValue<'a>> {
        self.fields.member(name).filter(|value| value.raw() != "null")
    }

    /// Returns the lease that came with the answer. A KV v1 answer has a `lease_duration`, but no
    /// `lease_id`, and so no lease.
    #[must_use]
    pub fn lease(&self) -> Option<LeaseGrant> {
        let id = self.field("lease_id")?.string()?.expose_str()?.to_owned();
        let duration = number(self.field("lease_duration"));
        let renewable = is_true(self.field("renewable"));
        let is_usable = !id.is_empty() && id.len() <= MAX_LEASE_ID;
        is_usable.then_some(LeaseGrant { id, duration: Duration::from_secs(duration), renewable })
    }

    /// Returns the certificate in the answer of a PKI engine's `issue` or `sign`
    /// (<https://developer.hashicorp.com/vault/api-docs/secret/pki#generate-certificate-and-key>).
    fn certificate(&self) -> Option<CertificateGrant> {
        let data = self.field("data")?;
        let has = |name: &str| data.member(name).is_some_and(JsonValue::is_string);
        let expiration = data.member("expiration")?.raw().parse().ok()?;
        (has("certificate") && has("serial_number")).then_some(CertificateGrant { expiration })
    }

    /// Returns the login in the answer's `auth`; none if the answer has no usable token, or one
    /// longer than 8 KiB.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        let auth = self.field("auth")?;
        let mut token = auth.member("client_token")?.string()?;
        token.shrink();
        let ttl =
            Some(Duration::from_secs(number(auth.member("lease_duration")))).filter(|ttl| !ttl.is_zero());
        let usable = token.len() <= MAX_TOKEN && token.expose_str().is_some_and(is_header_text);
        usable.then_some(Login {
            token,
            ttl,
            uses: number(auth.member("num_uses")),
            renewable: is_true(auth.member("renewable")),
        })
    }
}

/// Returns a whole number; 0 if there is none.
fn number(value: Option<JsonValue<'_>>) -> u64 {
    value.and_then(|value| value.raw().parse().ok()).unwrap_or(0)
}

fn is_true(value: Option<JsonValue<'_>>) -> bool {
    value.is_some_and(|value| value.raw() == "true")
}

/// Describes a body that is no JSON object, without a byte of it.
fn description(content_type: Option<String>, body: &[u8]) -> String {
    let form = form(body);
    match (form, content_type.filter(|kind| !kind.contains("json"))) {
        (Some(form), Some(kind)) => format!("{form} ({kind}), not JSON"),
        (Some(form), None) => format!("{form}, not JSON"),
        (None, Some(kind)) => format!("{kind}, not JSON"),
        (None, None) => "something that is no JSON object".to_owned(),
    }
}

/// Returns the form of what Vault's endpoints without JSON give.
fn form(body: &[u8]) -> Option<&'static str> {
    const FORMS: [(&[u8], &str); 8] = [
        (b"-----BEGIN CERTIFICATE-----", "a certificate in PEM"),
        (b"-----BEGIN X509 CRL-----", "a revocation list in PEM"),
        (b"-----BEGIN ", "PEM"),
        (b"ssh-", "an SSH public key"),
        (b"ecdsa-sha2-", "an SSH public key"),
        (b"sk-", "an SSH public key"),
        // a sequence whose length takes two bytes or one
        (b"\x30\x82", "DER"),
        (b"\x30\x81", "DER"),
    ];
    let form = FORMS.iter().find(|(start, _)| body.trim_ascii_start().starts_with(start));
    form.map(|(_, form)| *form)
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next()?.trim();
    Some(kind.chars().take(60).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coffer_shares::{Priority, Shares};
    use http::HeaderMap;

    use super::Answer;
    use crate::exchange::Exchange;
    use crate::json::index::JsonIndex;
    use crate::refusal::Confidential;
    use crate::{Failure, FailureKind, Secret};

    fn answer(status: u16, body: &str) -> Result<Answer, Failure> {
        answer_without(status, body, &[Secret::from("hvs.token")])
    }

    fn answer_without(status: u16, body: &str, secrets: &[Secret]) -> Result<Answer, Failure> {
        let exchange = Exchange {
            status,
            headers: HeaderMap::new(),
            json: JsonIndex::of(body.as_bytes()),
            body: Secret::from(body),
            memory: Shares::new(2).try_take("ns", 1, Priority::Common).expect("room"),
        };
        Answer::new(exchange, &Confidential { secrets, arguments: None })
    }

    #[test]
    fn an_answer_without_a_usable_token_is_no_login() {
        let login = |body| answer(200, body).expect("an answer").envelope().login();
        let full =
            login(r#"{"auth":{"client_token":"t","lease_duration":60,"num_uses":2}}"#).expect("a login");
        assert_eq!((full.ttl, full.uses), (Some(Duration::from_secs(60)), 2));
        assert_eq!(login(r#"{"auth":{"client_token":"t","lease_duration":0}}"#).expect("a login").ttl, None);
        for body in [
            "{}",
            r#"{"auth":null}"#,
            r#"{"auth":{}}"#,
            r#"{"auth":{"client_token":""}}"#,
            r#"{"auth":{"client_token":"a\nb"}}"#,
            &format!(r#"{{"auth":{{"client_token":"{}"}}}}"#, "t".repeat(9000)),
        ] {
            assert!(login(body).is_none(), "{body}");
        }
    }

    #[test]
    fn vaults_error_text_is_on_one_line_without_the_token() {
        let Err(Failure::Refused(refusal)) =
            answer(400, r#"{"errors":["1 error occurred:\n\t* bad hvs.token\n\n"]}"#)
        else {
            panic!("a refusal")
        };
        assert_eq!(refusal.words.as_deref(), Some("1 error occurred: * bad [redacted]"));
    }

    #[test]
    fn an_unknown_token_and_a_denial_by_policy_are_distinguished() {
        let kind = |status, body| answer(status, body).expect_err("a refusal").classify();
        // the first is of OpenBao and Vault before 1.17, the second of later versions of Vault
        for unknown in [
            r#"{"errors":["permission denied"]}"#,
            r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#,
        ] {
            assert_eq!(kind(403, unknown), FailureKind::TokenUnknown, "{unknown}");
        }
        let policy = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        assert_eq!(kind(403, policy), FailureKind::DeniedByPolicy);
        assert_eq!(kind(403, "RBAC: access denied"), FailureKind::DeniedByProxy);
        assert_eq!(kind(400, "<html>"), FailureKind::Final, "HTML is not from Vault");
    }

    #[test]
    fn no_part_of_a_secret_is_left_in_vaults_words() {
        let refused = |error: &str, secrets: &[&str]| {
            let secrets: Vec<_> = secrets.iter().map(|secret| Secret::from(*secret)).collect();
            let body = serde_json::json!({ "errors": [error] }).to_string();
            let Err(Failure::Refused(refusal)) = answer_without(400, &body, &secrets) else {
                panic!("a refusal")
            };
            refusal.words.unwrap_or_default()
        };
        // secrets within and across one another, with changed white space, and in quotes
        for (error, secrets, words) in [
            ("bad hunter2-long", &["hunter2", "hunter2-long"][..], "bad [redacted]"),
            ("bad one-two-three", &["one-two", "two-three"], "bad [redacted]"),
            ("bad one two", &["one\ntwo"], "bad [redacted]"),
            ("bad one\n two", &["one two"], "bad [redacted]"),
            ("bad \"one\\\"two\\nthree\"", &["one\"two\nthree"], "bad \"[redacted]\""),
            ("bad \"a\\u0026bc\"", &["a&bc"], "bad \"[redacted]\""),
            ("redacted is a word", &["redacted"], "[redacted] is a word"),
        ] {
            assert_eq!(refused(error, secrets), words, "{error:?}");
        }
        let secret = "secret ".repeat(2000);
        for before in ["", "bad ", &" ".repeat(8 * 1024 - 10), &"bad ".repeat(2000)] {
            let words = refused(&format!("{before}{secret}"), &[&secret]);
            assert!(!words.contains("secret"), "{words}");
        }
        let words = refused(&format!("bad{}hunter2", " ".repeat(8 * 1024 - 6)), &["hunter2"]);
        assert_eq!(words, "bad");
    }

    #[test]
    fn removing_many_secrets_from_a_long_text_is_bounded() {
        let secrets = vec![Secret::from("reda"); 200];
        let body = format!(r#"{{"errors":["{}"]}}"#, "reda".repeat(100_000));
        let answer = answer_without(400, &body, &secrets);
        let Err(Failure::Refused(refusal)) = answer else { panic!("a refusal") };
        assert!(refusal.words.is_some_and(|words| words.len() <= 400 && !words.contains("redareda")));
    }

    #[test]
    fn a_deleted_version_and_an_empty_path_are_distinguished() {
        let deleted = |body: &str| match answer(404, body) {
            Err(Failure::Refused(refusal)) => refusal.deleted,
            other => panic!("a refusal, not {other:?}"),
        };
        let gone = r#"{"data":{"data":null,"metadata":{"version":3,"deletion_time":"2026-01-02T03:04:05Z","destroyed":false}}}"#;
        assert_eq!(deleted(gone).as_deref(), Some("version 3 was deleted at 2026-01-02T03:04:05Z"));
        let destroyed = gone.replace("\"destroyed\":false", "\"destroyed\":true");
        assert_eq!(deleted(&destroyed).as_deref(), Some("version 3 was destroyed"));
        assert_eq!(deleted(r#"{"errors":[]}"#), None);
    }

    #[test]
    fn a_body_that_vault_would_not_send_is_a_failure() {
        assert!(matches!(answer(204, ""), Err(Failure::Empty(204))));
        assert!(matches!(answer(407, "<html>"), Err(Failure::ProxyCredentials)));
        assert!(matches!(answer(200, " "), Err(Failure::Empty(200))));
        for body in ["<html>", "[]", "\"x\"", "{", "null"] {
            assert!(matches!(answer(200, body), Err(Failure::NotVault(_))), "{body}");
        }
    }
}
