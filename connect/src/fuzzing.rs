//! The fuzz targets of proxies and PEM files. They are compiled for `cargo fuzz` alone.

use crate::{CertificateBundle, ClientIdentity, ProxyRules, TrustedAuthorities};

/// Reads the variables of proxies. The URL of the proxy is `before`, a user name with the planted
/// password, and `after`.
///
/// # Panics
/// If a text repeats the password, or `NO_PROXY=*` leaves a proxy.
pub fn proxy(before: &str, after: &str, no_proxy: &str, host: &str, planted: &str) {
    let scheme = before.strip_suffix("://");
    let is_scheme = |scheme: &str| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    // elsewhere it is no password
    let has_password = before.is_empty() || scheme.is_some_and(is_scheme);
    let url =
        if has_password { format!("{before}user:{planted}@{after}") } else { format!("{before}{after}") };
    let lookup = |name: &str| match name {
        "HTTPS_PROXY" | "http_proxy" => Some(url.clone()),
        "NO_PROXY" => Some(no_proxy.to_owned()),
        _ => None,
    };
    let rules = ProxyRules::from_environment(&lookup);
    let mut said = format!("{rules:?} {:?}", ProxyRules::only("VAULT_PROXY_ADDR", &url));
    for scheme in ["http", "https"] {
        match rules.proxy_for(scheme, host, 8200) {
            Ok(server) => {
                assert!(server.is_none() || !no_proxy.split(',').any(|entry| entry.trim() == "*"));
                said += &server.map(|server| format!("{server} {server:?}")).unwrap_or_default();
            }
            Err(unusable) => said += &format!("{unusable} {unusable:?}"),
        }
    }
    said.extend(rules.ignored().map(ToString::to_string));
    assert!(!said.contains(planted), "{said}");
}

/// Reads a PEM file as certificates and as a key. `key` is put into a block of a key.
///
/// # Panics
/// If a text repeats the key.
pub fn bundle(file: &[u8], key: &str) {
    let secret: String = key.chars().filter(|c| !c.is_whitespace()).collect();
    let block = format!("\n-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    let with_key = [file, block.as_bytes()].concat();
    let mut said = String::new();
    for file in [file, &with_key] {
        match CertificateBundle::read(file) {
            Ok(bundle) => {
                said.extend(bundle.skipped.iter().map(|skipped| format!("{skipped} {skipped:?}")));
                said += &format!("{:?}", TrustedAuthorities::configured(bundle.certificates));
            }
            Err(problem) => said += &format!("{problem} {problem:?}"),
        }
        if let Err(problem) = ClientIdentity::read(file, &with_key) {
            said += &format!("{problem} {problem:?}");
        }
    }
    let is_hidden =
        secret.len() < 12 || !said.contains(&secret) || String::from_utf8_lossy(file).contains(&secret);
    assert!(is_hidden, "{said}");
}
