//! Vault's answers, and the JSON envelope that all answers share. Reading an answer copies no
//! secret.

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::BodyBytes;
use crate::failure::Failure;
use crate::json::{self, RawObject};
use crate::refusal::refusal;
use crate::{Secret, is_header_text};

/// A successful answer: a JSON body, and the part of the memory limit for bodies that the body
/// takes.
#[derive(Debug)]
pub struct Answer {
    body: Secret,
    _bytes: BodyBytes,
}

/// The fields of an answer, borrowed from its body.
pub struct Envelope<'a> {
    fields: RawObject<'a>,
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
    /// `secrets` are removed from Vault's error text.
    pub(crate) fn new(
        status: u16,
        headers: &HeaderMap,
        body: Secret,
        bytes: BodyBytes,
        secrets: &[Secret],
    ) -> Result<Self, Failure> {
        if !(200..300).contains(&status) {
            return Err(Failure::Refused(refusal(status, headers, &body, secrets)));
        }
        if body.expose().trim_ascii().is_empty() {
            return Err(Failure::Empty(status));
        }
        let answer = Self { body, _bytes: bytes };
        match answer.fields() {
            Some(_) => Ok(answer),
            None => Err(Failure::NotVault(match content_type(headers) {
                Some(kind) if !kind.contains("json") => format!("{kind}, not JSON"),
                _ => "something that is no JSON object".to_owned(),
            })),
        }
    }

    /// Returns the answer that had this body before. The caller counts the memory of the body.
    #[must_use]
    pub fn from_body(body: Secret) -> Self {
        Self { body, _bytes: BodyBytes::default() }
    }

    /// Returns the body, a JSON object.
    #[must_use]
    pub fn body(&self) -> &Secret {
        &self.body
    }

    /// Returns the body, and releases the memory that was counted for the body.
    #[must_use]
    pub fn into_body(self) -> Secret {
        self.body
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

    /// Returns the fields of the envelope.
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope { fields: self.fields().unwrap_or_default() }
    }

    fn fields(&self) -> Option<RawObject<'_>> {
        let raw: &RawValue = serde_json::from_slice(self.body.expose()).ok()?;
        json::object(raw)
    }
}

impl<'a> Envelope<'a> {
    /// Returns a field; none if the field is missing or null.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.get(name).copied().filter(|value| value.get() != "null")
    }

    /// Returns the lease that came with the answer. A KV v1 answer has a `lease_duration`, but no
    /// `lease_id`, and so no lease.
    #[must_use]
    pub fn lease(&self) -> Option<LeaseGrant> {
        let id: String = serde_json::from_str(self.field("lease_id")?.get()).ok()?;
        let duration = self.field("lease_duration").and_then(|raw| raw.get().parse().ok()).unwrap_or(0);
        let renewable = self.field("renewable").is_some_and(|raw| raw.get() == "true");
        (!id.is_empty()).then_some(LeaseGrant { id, duration: Duration::from_secs(duration), renewable })
    }

    /// Returns the certificate in the answer of a PKI engine's `issue` or `sign`
    /// (<https://developer.hashicorp.com/vault/api-docs/secret/pki#generate-certificate-and-key>).
    fn certificate(&self) -> Option<CertificateGrant> {
        let data = json::object(self.field("data")?)?;
        let has = |name: &str| data.get(name).is_some_and(|raw| raw.get().starts_with("\""));
        let expiration = data.get("expiration")?.get().parse().ok()?;
        (has("certificate") && has("serial_number")).then_some(CertificateGrant { expiration })
    }

    /// Returns the login in the answer's `auth`; none if the answer has no usable token.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        #[derive(Deserialize)]
        struct LoginFields {
            #[serde(default)]
            lease_duration: u64,
            #[serde(default)]
            num_uses: u64,
            #[serde(default)]
            renewable: bool,
        }

        let auth = self.field("auth")?;
        let token = json::string(json::object(auth)?.get("client_token")?)?;
        let lifetime: LoginFields = serde_json::from_str(auth.get()).ok()?;
        let ttl = Some(Duration::from_secs(lifetime.lease_duration)).filter(|ttl| !ttl.is_zero());
        let usable = token.expose_str().is_some_and(is_header_text);
        usable.then_some(Login { token, ttl, uses: lifetime.num_uses, renewable: lifetime.renewable })
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next()?.trim();
    Some(kind.chars().take(60).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::Answer;
    use crate::exchange::BodyBytes;
    use crate::{Failure, FailureKind, Secret};

    fn answer(status: u16, body: &str) -> Result<Answer, Failure> {
        let token = Secret::from("hvs.token");
        Answer::new(status, &HeaderMap::new(), Secret::from(body), BodyBytes::default(), &[token])
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
    fn removing_many_secrets_from_a_long_text_is_bounded() {
        let secrets = vec![Secret::from("reda"); 200];
        let body = Secret::new(format!(r#"{{"errors":["{}"]}}"#, "reda".repeat(100_000)));
        let answer = Answer::new(400, &HeaderMap::new(), body, BodyBytes::default(), &secrets);
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
        assert_eq!(answer(204, "").expect_err("empty"), Failure::Empty(204));
        assert_eq!(answer(200, " ").expect_err("empty"), Failure::Empty(200));
        for body in ["<html>", "[]", "\"x\"", "{", "null"] {
            assert!(matches!(answer(200, body), Err(Failure::NotVault(_))), "{body}");
        }
    }
}
