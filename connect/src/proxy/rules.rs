//! Which proxy a request goes through.

use super::bypass::Bypass;
use super::{BadProxy, ProxyScheme, ProxyServer};

/// The proxies of a client, and the hosts that it reaches without one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyRules {
    http: Option<ProxySetting>,
    https: Option<ProxySetting>,
    /// None if even this machine is reached by the proxy.
    bypass: Option<Bypass>,
    /// Whether the variables may come from a request, as those of a CGI program.
    is_cgi: bool,
}

/// What a variable says of a proxy.
type ProxySetting = Result<ProxyServer, BadProxy>;

/// Why the proxy of a request cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableProxy {
    /// The setting names no proxy.
    #[error(transparent)]
    Bad(BadProxy),
    /// Somebody else may have chosen the proxy.
    #[error(
        "{variable} is not used while REQUEST_METHOD is set: in a CGI program whoever sends a request \
         could choose it"
    )]
    Cgi {
        /// The variable.
        variable: String,
    },
}

impl ProxyRules {
    /// Returns the rules for one proxy for everything, this machine included, as Vault's own client
    /// treats `VAULT_PROXY_ADDR` and `kubectl` a kubeconfig's `proxy-url`. `source` says in
    /// messages where `text` comes from.
    ///
    /// # Errors
    /// [`BadProxy`], if the text names no proxy.
    pub fn only(source: &str, text: &str) -> Result<Self, BadProxy> {
        let server = ProxyServer::parse(source, text)?;
        Ok(Self { http: Some(Ok(server.clone())), https: Some(Ok(server)), ..Self::default() })
    }

    /// Returns the rules of the variables that every Go program reads: `HTTP_PROXY`,
    /// `HTTPS_PROXY`, `NO_PROXY`, and the same in lower case, which count where those in upper case
    /// are empty or not set.
    #[must_use]
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let first = |upper: &'static str, lower: &'static str| {
            [upper, lower].into_iter().find_map(|name| Some((name, set(name)?)))
        };
        let setting = |upper, lower| {
            let (name, text) = first(upper, lower)?;
            Some(ProxyServer::parse(name, &text).map(ProxyServer::heeding_no_proxy))
        };
        let list = first("NO_PROXY", "no_proxy").map(|(_, list)| list).unwrap_or_default();
        Self {
            http: setting("HTTP_PROXY", "http_proxy"),
            https: setting("HTTPS_PROXY", "https_proxy"),
            bypass: Some(Bypass::parse(&list)),
            is_cgi: set("REQUEST_METHOD").is_some(),
        }
    }

    /// Returns the proxy for requests to a host, which is a name or an address without brackets;
    /// `None` if they go there directly.
    ///
    /// # Errors
    /// [`UnusableProxy`], if they would go through a proxy that cannot be used.
    pub fn proxy_for(
        &self,
        scheme: &str,
        host: &str,
        port: u16,
    ) -> Result<Option<&ProxyServer>, UnusableProxy> {
        let setting = match scheme {
            "https" => &self.https,
            "http" => &self.http,
            _ => &None,
        };
        let setting = match setting {
            None => return Ok(None),
            Some(Err(bad)) if bad.is_ignored_by_go => return Ok(None),
            Some(setting) => setting,
        };
        if scheme == "http" && self.is_cgi {
            let variable = match setting {
                Ok(server) => server.source(),
                Err(bad) => bad.source_name(),
            };
            return Err(UnusableProxy::Cgi { variable: variable.to_owned() });
        }
        if self.bypass.as_ref().is_some_and(|bypass| bypass.covers(host, port)) {
            return Ok(None);
        }
        setting.as_ref().map(Some).map_err(|bad| UnusableProxy::Bad(bad.clone()))
    }

    /// Returns whether one of the proxies speaks TLS itself.
    #[must_use]
    pub fn speak_tls(&self) -> bool {
        let settings = [&self.http, &self.https].into_iter().flatten().flatten();
        settings.into_iter().any(|server| server.scheme() == ProxyScheme::Https)
    }

    /// Returns the settings that count as not set because they name no proxy, which is what every
    /// Go program does with them.
    pub fn ignored(&self) -> impl Iterator<Item = &BadProxy> {
        let settings = [&self.http, &self.https].into_iter().flatten();
        settings.filter_map(|setting| setting.as_ref().err()).filter(|bad| bad.is_ignored_by_go)
    }
}

#[cfg(test)]
mod tests {
    use super::ProxyRules;

    fn rules(variables: &[(&str, &str)]) -> ProxyRules {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        ProxyRules::from_environment(&lookup)
    }

    fn chosen(rules: &ProxyRules, scheme: &str, host: &str) -> String {
        match rules.proxy_for(scheme, host, 8200) {
            Ok(Some(server)) => server.to_string(),
            Ok(None) => "direct".to_owned(),
            Err(refused) => refused.to_string(),
        }
    }

    #[test]
    fn each_scheme_has_its_own_proxy() {
        let both = rules(&[("HTTP_PROXY", "a:1"), ("https_proxy", "b:2"), ("no_proxy", "direct.example")]);
        assert_eq!(chosen(&both, "http", "vault"), "a:1");
        assert_eq!(chosen(&both, "https", "vault"), "b:2");
        assert_eq!(chosen(&both, "https", "direct.example"), "direct");
        assert_eq!(chosen(&both, "https", "127.0.0.1"), "direct");
        assert_eq!(chosen(&rules(&[("HTTP_PROXY", "a:1")]), "https", "vault"), "direct");
    }

    #[test]
    fn upper_case_counts_before_lower_case_if_it_is_not_empty() {
        let read = rules(&[("HTTPS_PROXY", "a:1"), ("https_proxy", "b:2")]);
        assert_eq!(chosen(&read, "https", "vault"), "a:1");
        let read = rules(&[("HTTPS_PROXY", ""), ("https_proxy", "b:2"), ("NO_PROXY", ""), ("no_proxy", "x")]);
        assert_eq!(chosen(&read, "https", "vault"), "b:2");
        assert_eq!(chosen(&read, "https", "x"), "direct");
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_an_error_unless_go_ignores_it() {
        let read = rules(&[("HTTPS_PROXY", "http://user:hush@pro xy"), ("NO_PROXY", "direct.example")]);
        let words = "HTTPS_PROXY names no proxy: its host has a character that no host has";
        assert_eq!(chosen(&read, "https", "vault"), words);
        assert_eq!(chosen(&read, "https", "direct.example"), "direct");
        assert_eq!(read.ignored().count(), 0);
        let read = rules(&[("https_proxy", "http://user:100%hush@proxy")]);
        assert_eq!(chosen(&read, "https", "vault"), "direct");
        let ignored: Vec<_> = read.ignored().map(ToString::to_string).collect();
        assert_eq!(ignored, ["https_proxy names no proxy: it has a % without two hexadecimal digits"]);
    }

    #[test]
    fn http_proxy_is_refused_where_a_request_may_have_set_it() {
        let cgi = rules(&[("HTTP_PROXY", "a:1"), ("HTTPS_PROXY", "b:2"), ("REQUEST_METHOD", "GET")]);
        assert!(
            chosen(&cgi, "http", "vault").starts_with("HTTP_PROXY is not used while REQUEST_METHOD is set")
        );
        assert!(chosen(&cgi, "http", "127.0.0.1").starts_with("HTTP_PROXY is not used"));
        assert_eq!(chosen(&cgi, "https", "vault"), "b:2");
    }

    #[test]
    fn a_proxy_for_everything_is_used_for_this_machine_too() {
        let only = ProxyRules::only("VAULT_PROXY_ADDR", "http://p:1").expect("a proxy");
        for (scheme, host) in [("http", "127.0.0.1"), ("https", "localhost"), ("https", "vault")] {
            assert_eq!(chosen(&only, scheme, host), "p:1");
        }
        let bad = ProxyRules::only("VAULT_PROXY_ADDR", "http://[").expect_err("no proxy");
        assert_eq!(
            bad.to_string(),
            "VAULT_PROXY_ADDR names no proxy: its host has a character that no host has"
        );
    }
}
