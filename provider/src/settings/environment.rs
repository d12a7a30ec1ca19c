//! Settings from the environment variables that Vault's own clients read.

use std::num::ParseIntError;
use std::sync::Arc;
use std::time::Duration;

use super::{BadNamespace, NotABoolean, ProxyRules, RateLimit, Settings, go_bool, namespace};
use crate::go_duration;
use coffer_vault::{
    Address, Authorities, BadAddress, BadProxy, ClientCertificate, ClientCertificateError, Tls, TlsFile,
    TlsOverlay,
};

/// An environment variable with a value that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name}: {reason}")]
pub struct BadVariable {
    name: String,
    #[source]
    reason: BadValue,
}

/// Why the value of a variable cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BadValue {
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    #[error(transparent)]
    Boolean(#[from] NotABoolean),
    #[error(transparent)]
    Proxy(#[from] BadProxy),
    #[error("{0:?} is no duration such as 60, 60s or 1m")]
    Duration(String),
    #[error("not a number")]
    Number(#[from] ParseIntError),
    #[error("{0:?} is not RATE or RATE:BURST")]
    RateLimit(String),
    #[error("missing: a client certificate needs its key, and a key its certificate")]
    MissingHalf,
}

impl Settings {
    /// Returns the defaults, overlaid by the variables that Vault's own clients read
    /// (<https://developer.hashicorp.com/vault/docs/commands#environment-variables>). `BAO_X`
    /// counts before `VAULT_X`.
    ///
    /// # Errors
    /// [`BadVariable`] names the variable. As in Vault's client, a bad value is an error and never
    /// ignored.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadVariable> {
        let env = Environment { lookup };
        let mut settings = Self {
            tls: env.tls()?.over(Tls::default()),
            proxies: Arc::new(env.proxies()?),
            ..Self::default()
        };
        for name in ["ADDR", "AGENT_ADDR"] {
            if let Some(address) = env.parsed(name, Address::parse)? {
                settings.address = address;
            }
        }
        settings.namespace = env.parsed("NAMESPACE", namespace)?;
        if let Some(timeout) = env.parsed("CLIENT_TIMEOUT", duration)?.filter(|timeout| !timeout.is_zero()) {
            settings.request_timeout = timeout;
        }
        if let Some(retries) = env.parsed("MAX_RETRIES", str::parse::<usize>)? {
            settings.max_retries = retries;
        }
        settings.rate_limit = env.parsed("RATE_LIMIT", rate_limit)?;
        if let Some(disabled) = env.parsed("DISABLE_REDIRECTS", go_bool)? {
            settings.follow_redirects = !disabled;
        }
        Ok(settings)
    }
}

struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    /// Returns the variable's full name and value. An empty value counts as unset, as in Vault's
    /// client.
    fn get(&self, name: &str) -> Option<(String, String)> {
        ["BAO_", "VAULT_"].iter().find_map(|prefix| {
            let name = format!("{prefix}{name}");
            let value = (self.lookup)(&name).filter(|value| !value.is_empty())?;
            Some((name, value))
        })
    }

    fn parsed<T, E: Into<BadValue>>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, BadVariable> {
        let Some((name, value)) = self.get(name) else { return Ok(None) };
        match parse(value.trim()) {
            Ok(value) => Ok(Some(value)),
            Err(bad) => Err(BadVariable { name, reason: bad.into() }),
        }
    }

    fn file(&self, name: &str) -> Option<TlsFile> {
        self.get(name).map(|(_, path)| TlsFile { path: path.into(), parameter: None })
    }

    fn tls(&self) -> Result<TlsOverlay, BadVariable> {
        let pem = || self.get("CACERT_BYTES").map(|(_, pem)| Authorities::Pem(pem));
        let file = Authorities::from_files(self.file("CACERT"), None);
        let client = ClientCertificate::from_files(self.file("CLIENT_CERT"), self.file("CLIENT_KEY"));
        Ok(TlsOverlay {
            authorities: file.or_else(pem).or_else(|| Authorities::from_files(None, self.file("CAPATH"))),
            server_name: self.get("TLS_SERVER_NAME").map(|(_, name)| name),
            client: client.map_err(|half| {
                let name = match half {
                    ClientCertificateError::NoCertificate => "VAULT_CLIENT_CERT",
                    ClientCertificateError::NoKey => "VAULT_CLIENT_KEY",
                };
                BadVariable { name: name.to_owned(), reason: BadValue::MissingHalf }
            })?,
            skip_verify: self.parsed("SKIP_VERIFY", go_bool)?,
        })
    }

    /// Returns the proxy of Vault's own variables, else those that every Go program reads.
    fn proxies(&self) -> Result<ProxyRules, BadVariable> {
        match self.get("PROXY_ADDR").or_else(|| self.get("HTTP_PROXY")) {
            Some((name, proxy)) => {
                ProxyRules::only(&name, &proxy).map_err(|bad| BadVariable { name, reason: bad.into() })
            }
            None => Ok(ProxyRules::from_environment(self.lookup)),
        }
    }
}

fn duration(text: &str) -> Result<Duration, BadValue> {
    go_duration::parse(text).ok_or_else(|| BadValue::Duration(text.to_owned()))
}

fn rate_limit(text: &str) -> Result<RateLimit, BadValue> {
    let bad = || BadValue::RateLimit(text.to_owned());
    let (rate, burst) = match text.split_once(':') {
        Some((rate, burst)) => (rate, Some(burst.parse().map_err(|_| bad())?)),
        None => (text, None),
    };
    let per_second: f64 = rate.parse().map_err(|_| bad())?;
    if !per_second.is_finite() || per_second <= 0.0 || burst == Some(0) {
        return Err(bad());
    }
    // as in Vault's client, the burst is the rate if none is given
    Ok(RateLimit { per_second, burst: burst.unwrap_or(per_second.ceil() as u32) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{RateLimit, Settings};
    use crate::Authorities;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::from_environment(&lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_vaults_client_reads() {
        let read = settings(&[
            ("VAULT_ADDR", "http://vault:8200"),
            ("BAO_NAMESPACE", "bao"),
            ("VAULT_NAMESPACE", "vault"),
            ("VAULT_CAPATH", "/ca"),
            ("VAULT_CACERT_BYTES", "PEM"),
            ("VAULT_CLIENT_TIMEOUT", "5"),
            ("VAULT_MAX_RETRIES", "0"),
            ("VAULT_RATE_LIMIT", "2.5:7"),
            ("VAULT_DISABLE_REDIRECTS", "true"),
        ])
        .expect("settings");
        assert_eq!(read.address.to_string(), "http://vault:8200");
        assert_eq!(read.namespace.as_deref(), Some("bao"));
        assert_eq!(read.tls.authorities, Authorities::Pem("PEM".to_owned()));
        assert_eq!(read.request_timeout, Duration::from_secs(5));
        assert_eq!(read.max_retries, 0);
        assert_eq!(read.rate_limit, Some(RateLimit { per_second: 2.5, burst: 7 }));
        assert!(!read.follow_redirects);
    }

    #[test]
    fn the_address_of_vault_agent_counts_before_that_of_vault() {
        let read = settings(&[("VAULT_AGENT_ADDR", "unix:///a.sock"), ("VAULT_ADDR", "https://v:1")]);
        assert_eq!(read.expect("settings").address.to_string(), "unix:///a.sock");
    }

    #[test]
    fn the_proxy_for_vault_counts_before_the_general_proxy() {
        let proxy = |variables: &[(&str, &str)], scheme| {
            let proxies = settings(variables).expect("settings").proxies;
            proxies.proxy_for(scheme, "vault", 8200).expect("usable").map(|proxy| proxy.host().to_owned())
        };
        let general = ("HTTPS_PROXY", "http://p:1");
        assert_eq!(proxy(&[general], "https").as_deref(), Some("p"));
        assert_eq!(proxy(&[general], "http"), None);
        assert_eq!(proxy(&[general, ("no_proxy", "vault")], "https"), None);
        let both = [general, ("VAULT_PROXY_ADDR", "http://q:1"), ("NO_PROXY", "vault")];
        assert_eq!(proxy(&both, "http").as_deref(), Some("q"));
        let bad = settings(&[("VAULT_PROXY_ADDR", "http://u:secret@")]).expect_err("no host").to_string();
        assert!(bad.contains("VAULT_PROXY_ADDR") && !bad.contains("secret"), "{bad}");
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let address = "\"vault\" is no Vault address: write https://HOST[:PORT], http://HOST[:PORT] or \
                       unix:///PATH";
        for (name, value, reason) in [
            ("VAULT_ADDR", "vault", address),
            (
                "BAO_NAMESPACE",
                "a\nb",
                "\"a\\nb\" is no namespace: one line of plain text, without \".\" and \"..\" segments",
            ),
            ("BAO_SKIP_VERIFY", "yes", "\"yes\" is neither true nor false"),
            ("VAULT_CLIENT_TIMEOUT", "soon", "\"soon\" is no duration such as 60, 60s or 1m"),
            ("VAULT_RATE_LIMIT", "0", "\"0\" is not RATE or RATE:BURST"),
            ("VAULT_MAX_RETRIES", "-1", "not a number"),
        ] {
            let error = settings(&[(name, value)]).expect_err(value);
            assert_eq!(error, format!("environment variable {name}: {reason}"));
        }
        assert_eq!(
            settings(&[("VAULT_CLIENT_CERT", "/c")]).expect_err("no key"),
            "environment variable VAULT_CLIENT_KEY: missing: a client certificate needs its key, and a key \
             its certificate"
        );
    }
}
