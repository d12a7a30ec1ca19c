//! Which service account tokens may go to a server that is not the operator's: none that
//! kube-apiserver itself would accept.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use coffer_vault::{Address, Secret};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use crate::Error;

/// Maximum size of a token that is read, in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// The names of kube-apiserver that most clusters have as their audience.
const USUAL: &str = "https://kubernetes.default";

const REASON: &str = "and a token of it goes only to addresses that the operator names or trusts \
                      (-vault-addr, -vault-trusted-addresses)";

/// Judges tokens for one server that is not the operator's.
pub(super) struct ForeignServer<'a> {
    pub(super) address: &'a Address,
    /// File of the process's own token, whose audiences are the cluster's.
    pub(super) own_token: Option<&'a Path>,
}

/// The claims of a JWT that say whom it is for.
#[derive(Deserialize)]
struct AudienceClaims {
    #[serde(default)]
    aud: Audiences,
    #[serde(default)]
    iss: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

/// What a text is, as far as its audiences can be read.
enum TokenForm {
    /// A JWT.
    Jwt(AudienceClaims),
    /// Something in the form of a JWT that cannot be read.
    Unreadable,
    /// No JWT.
    Opaque,
}

impl ForeignServer<'_> {
    /// Refuses the cluster's own audience, which a token without a named one has.
    pub(super) fn without_audience(&self) -> Error {
        let address = self.address;
        Error::class(format!(
            "parameter \"audience\" is missing: without it the token has the cluster's own audience, {REASON}, \
             which {address} is not"
        ))
        .with_advice("Name an audience that only this Vault takes, and bind the role to it")
    }

    /// Checks an audience before a token is minted for it.
    ///
    /// # Errors
    /// The audience is the cluster's own.
    pub(super) fn check_audience(&self, audience: &str) -> Result<(), Error> {
        let own = self.own_audiences();
        if is_clusters(audience, &own) { Err(clusters(audience)) } else { Ok(()) }
    }

    /// Checks a token that was sent along for an audience.
    ///
    /// # Errors
    /// One of the token's audiences is the cluster's own, or `audience` is none of them. A token
    /// that is no JWT is judged by `audience`.
    pub(super) fn check_sent(&self, token: &Secret, audience: &str) -> Result<(), Error> {
        self.check(token, audience, true)
    }

    /// Checks a token that was minted for an audience.
    ///
    /// # Errors
    /// As for [`Self::check_sent`]; a token that is no JWT is refused.
    pub(super) fn check_minted(&self, token: &Secret, audience: &str) -> Result<(), Error> {
        self.check(token, audience, false)
    }

    fn check(&self, token: &Secret, audience: &str, may_be_opaque: bool) -> Result<(), Error> {
        let mut own = self.own_audiences();
        let claims = match form(token.expose()) {
            TokenForm::Jwt(claims) => claims,
            TokenForm::Opaque if may_be_opaque => return self.check_audience(audience),
            TokenForm::Opaque | TokenForm::Unreadable => return Err(unknown(audience)),
        };
        own.push(claims.iss);
        let audiences = claims.aud.all();
        match audiences.iter().find(|audience| is_clusters(audience, &own)) {
            Some(clusters_own) => Err(clusters(clusters_own)),
            None if audiences.iter().any(|other| other == audience) => Ok(()),
            None => Err(unknown(audience)),
        }
    }

    /// Returns the audiences and the issuer of the process's own token. kubelet replaces the file.
    fn own_audiences(&self) -> Vec<String> {
        let token = self.own_token.and_then(read);
        match token.as_ref().map(|token| form(token.expose().trim_ascii())) {
            Some(TokenForm::Jwt(AudienceClaims { aud, iss })) => {
                let mut audiences = aud.all();
                audiences.push(iss);
                audiences
            }
            _ => Vec::new(),
        }
    }
}

impl Audiences {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(audience) => vec![audience],
            Self::Several(audiences) => audiences,
        }
    }
}

impl Default for Audiences {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

fn is_clusters(audience: &str, own: &[String]) -> bool {
    audience.is_empty() || audience.starts_with(USUAL) || own.iter().any(|own| own == audience)
}

fn clusters(audience: &str) -> Error {
    Error::class(format!("parameter \"audience\": {audience:?} is the cluster's own, {REASON}"))
        .with_advice("Name an audience that only this Vault takes, and bind the role to it")
}

fn unknown(audience: &str) -> Error {
    Error::class(format!(
        "the service account token for audience {audience:?} does not say that it is for that audience, \
         so it may be for the cluster's own, {REASON}"
    ))
}

/// Reads the claims of a token, unverified: who sent or minted the token is trusted.
fn form(token: &[u8]) -> TokenForm {
    let parts: Vec<&[u8]> = token.splitn(4, |byte| *byte == b'.').collect();
    let [_, payload, _] = parts[..] else { return TokenForm::Opaque };
    if token.len() > MAX_TOKEN {
        return TokenForm::Unreadable;
    }
    let payload = BASE64URL_NOPAD.decode(payload).map(Secret::new);
    let claims = payload.ok().and_then(|payload| serde_json::from_slice(payload.expose()).ok());
    claims.map_or(TokenForm::Unreadable, TokenForm::Jwt)
}

fn read(path: &Path) -> Option<Secret> {
    let mut token = Vec::with_capacity(MAX_TOKEN);
    File::open(path).ok()?.take(MAX_TOKEN as u64).read_to_end(&mut token).ok()?;
    Some(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use coffer_vault::{Address, Secret};
    use data_encoding::BASE64URL_NOPAD;
    use serde_json::{Value, json};

    use super::ForeignServer;

    fn jwt(claims: &Value) -> Secret {
        Secret::new(format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.to_string().as_bytes())))
    }

    fn with_server<T>(own: &Value, test: impl FnOnce(&ForeignServer<'_>) -> T) -> T {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), jwt(own).expose()).expect("a token");
        let address = Address::parse("https://evil").expect("an address");
        test(&ForeignServer { address: &address, own_token: Some(file.path()) })
    }

    #[test]
    fn a_token_for_the_cluster_is_refused_however_it_was_asked_for() {
        let own = json!({ "aud": ["api", "k3s"], "iss": "https://issuer" });
        with_server(&own, |server| {
            for claims in [
                json!({ "aud": ["api"], "iss": "https://issuer" }),
                json!({ "aud": ["vault", "k3s"] }),
                json!({ "aud": "k3s" }),
                json!({ "aud": ["https://issuer", "vault"] }),
                json!({ "aud": ["vault", "https://other"], "iss": "https://other" }),
                json!({ "aud": ["vault", "https://kubernetes.default.svc.cluster.local"] }),
                json!({ "aud": ["vault", "https://kubernetes.default.svc"] }),
                json!({ "aud": ["vault", ""] }),
            ] {
                let token = jwt(&claims);
                let said = server.check_sent(&token, "vault").expect_err("refused").to_string();
                assert!(
                    said.contains("the cluster's own") && said.contains("-vault-trusted-addresses"),
                    "{said}"
                );
                assert!(server.check_minted(&token, "vault").is_err(), "{claims}");
            }
            for audience in ["api", "k3s", "https://issuer", "https://kubernetes.default.svc", ""] {
                assert!(server.check_audience(audience).is_err(), "{audience}");
                assert!(server.check_sent(&Secret::from("opaque"), audience).is_err(), "{audience}");
            }
        });
    }

    #[test]
    fn a_token_that_does_not_say_whom_it_is_for_is_refused() {
        with_server(&json!({}), |server| {
            for claims in
                [json!({}), json!({ "aud": [] }), json!({ "aud": ["other"] }), json!({ "aud": 7 }), json!([])]
            {
                assert!(server.check_sent(&jwt(&claims), "vault").is_err(), "{claims}");
            }
            for text in ["a.b.c", "e30..c2ln", "a.\u{e9}.c"] {
                let said = server.check_sent(&Secret::from(text), "vault").expect_err(text).to_string();
                assert!(!said.contains(text), "{said}");
            }
            let long = format!("{}.e30.x", "a".repeat(super::MAX_TOKEN));
            assert!(server.check_sent(&Secret::new(long), "vault").is_err());
            assert!(server.check_minted(&Secret::from("opaque"), "vault").is_err());
        });
    }

    #[test]
    fn a_token_for_another_audience_may_go_anywhere() {
        with_server(&json!({ "aud": ["api"], "iss": "https://issuer" }), |server| {
            let token = jwt(&json!({ "aud": ["vault", "other"], "iss": "https://issuer" }));
            assert!(
                server.check_sent(&token, "vault").is_ok() && server.check_minted(&token, "other").is_ok()
            );
            assert!(server.check_sent(&Secret::from("opaque"), "vault").is_ok());
            assert!(server.check_audience("vault").is_ok());
        });
        let address = Address::parse("https://evil").expect("an address");
        let outside = ForeignServer { address: &address, own_token: Some("/nowhere".as_ref()) };
        assert!(outside.check_audience("vault").is_ok());
    }
}
