//! The environment variables of Vault's own clients.

use std::time::Duration;

use super::{Proxy, RateLimit, Settings, go_bool, namespace};
use crate::go_duration;
use coffer_vault::{Address, Authorities, ClientCertificate, Tls, TlsFile};

/// A variable of the environment that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name}: {reason}")]
pub struct BadVariable {
    name: String,
    reason: String,
}

impl Settings {
    /// The defaults, overlaid by the variables that Vault's own clients read
    /// (<https://developer.hashicorp.com/vault/docs/commands#environment-variables>). `BAO_X` beats `VAULT_X`.
    ///
    /// # Errors
    /// [`BadVariable`] names the variable; as in Vault's client a bad value is an error, never ignored.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadVariable> {
        let env = Environment { lookup };
        let mut settings = Self { tls: env.tls()?, proxy: env.proxy(), ..Self::default() };
        for name in ["ADDR", "AGENT_ADDR"] {
            if let Some(address) =
                env.parsed(name, |text| Address::parse(text).map_err(|bad| bad.to_string()))?
            {
                settings.address = address;
            }
        }
        settings.namespace = env.parsed("NAMESPACE", namespace)?;
        if let Some(timeout) = env.parsed("CLIENT_TIMEOUT", duration)?.filter(|timeout| !timeout.is_zero()) {
            settings.request_timeout = timeout;
        }
        if let Some(retries) =
            env.parsed("MAX_RETRIES", |text| text.parse().map_err(|_| "not a number".to_owned()))?
        {
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
    /// The variable's full name and value; an empty one counts as unset, as in Vault's client.
    fn get(&self, name: &str) -> Option<(String, String)> {
        ["BAO_", "VAULT_"].iter().find_map(|prefix| {
            let name = format!("{prefix}{name}");
            let value = (self.lookup)(&name).filter(|value| !value.is_empty())?;
            Some((name, value))
        })
    }

    fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, BadVariable> {
        self.get(name)
            .map(|(name, value)| parse(value.trim()).map_err(|reason| BadVariable { name, reason }))
            .transpose()
    }

    fn file(&self, name: &str) -> Option<TlsFile> {
        self.get(name).map(|(_, path)| TlsFile { path: path.into(), parameter: None })
    }

    fn tls(&self) -> Result<Tls, BadVariable> {
        let authorities = if let Some(file) = self.file("CACERT") {
            Authorities::File(file)
        } else if let Some((_, pem)) = self.get("CACERT_BYTES") {
            Authorities::Pem(pem)
        } else if let Some(directory) = self.file("CAPATH") {
            Authorities::Directory(directory)
        } else {
            Authorities::System
        };
        let client = match (self.file("CLIENT_CERT"), self.file("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (certificate, _) => {
                let name = if certificate.is_some() { "VAULT_CLIENT_KEY" } else { "VAULT_CLIENT_CERT" };
                let reason =
                    "missing: a client certificate needs its key, and a key its certificate".to_owned();
                return Err(BadVariable { name: name.to_owned(), reason });
            }
        };
        Ok(Tls {
            authorities,
            server_name: self.get("TLS_SERVER_NAME").map(|(_, name)| name),
            client,
            skip_verify: self.parsed("SKIP_VERIFY", go_bool)?.unwrap_or(false),
        })
    }

    /// Vault's own proxy variables, else the ones that every Go program obeys.
    fn proxy(&self) -> Option<Proxy> {
        if let Some((_, proxy)) = self.get("PROXY_ADDR").or_else(|| self.get("HTTP_PROXY")) {
            return Some(Proxy { http: Some(proxy.clone()), https: Some(proxy), except: None });
        }
        let general = |name: &str| {
            [name.to_owned(), name.to_lowercase()]
                .iter()
                .find_map(|n| (self.lookup)(n))
                .filter(|value| !value.is_empty())
        };
        let (http, https) = (general("HTTP_PROXY"), general("HTTPS_PROXY"));
        (http.is_some() || https.is_some()).then(|| Proxy {
            http,
            https,
            except: Some(general("NO_PROXY").unwrap_or_default()),
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    go_duration::parse(text).ok_or_else(|| format!("{text:?} is no duration such as 60, 60s or 1m"))
}

fn rate_limit(text: &str) -> Result<RateLimit, String> {
    let bad = || format!("{text:?} is not RATE or RATE:BURST");
    let (rate, burst) = match text.split_once(':') {
        Some((rate, burst)) => (rate, Some(burst.parse().map_err(|_| bad())?)),
        None => (text, None),
    };
    let per_second: f64 = rate.parse().map_err(|_| bad())?;
    if !per_second.is_finite() || per_second <= 0.0 || burst == Some(0) {
        return Err(bad());
    }
    // as in Vault's client, the burst is the rate where none is given
    Ok(RateLimit { per_second, burst: burst.unwrap_or(per_second.ceil() as u32) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Proxy, RateLimit, Settings};
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
    fn the_agents_address_beats_vaults() {
        let read = settings(&[("VAULT_AGENT_ADDR", "unix:///a.sock"), ("VAULT_ADDR", "https://v:1")]);
        assert_eq!(read.expect("settings").address.to_string(), "unix:///a.sock");
    }

    #[test]
    fn vaults_proxy_beats_the_general_one() {
        let general = [("HTTPS_PROXY", "http://p:1"), ("no_proxy", "x")];
        let read = settings(&general).expect("settings").proxy;
        assert_eq!(
            read,
            Some(Proxy { http: None, https: Some("http://p:1".into()), except: Some("x".into()) })
        );
        let both = settings(&[general[0], ("VAULT_PROXY_ADDR", "http://q:1")]).expect("settings").proxy;
        assert_eq!(both.and_then(|p| p.http).as_deref(), Some("http://q:1"));
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        for (name, value) in [
            ("VAULT_ADDR", "vault"),
            ("BAO_SKIP_VERIFY", "yes"),
            ("VAULT_CLIENT_TIMEOUT", "soon"),
            ("VAULT_RATE_LIMIT", "0"),
            ("VAULT_MAX_RETRIES", "-1"),
        ] {
            let error = settings(&[(name, value)]).expect_err(value);
            assert!(error.contains(name), "{error}");
        }
        assert!(settings(&[("VAULT_CLIENT_CERT", "/c")]).expect_err("no key").contains("VAULT_CLIENT_KEY"));
    }
}
