use http::{HeaderMap, HeaderName, HeaderValue};

use super::{CertificateUser, bearer_token, certificate_user, refuse_impersonation};
use crate::client_certificate::tests::TestAuthority;
use crate::trust::Trust;
use crate::trust::tests::{map, trust};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn name(certificate: &CertificateUser) -> &str {
    match certificate {
        CertificateUser::User(user) => &user.name,
        CertificateUser::None => "none",
        CertificateUser::Rejected => "bad",
    }
}

#[test]
fn headers_count_only_with_the_proxys_certificate() {
    let (proxy, clients, other) = (TestAuthority::new(), TestAuthority::new(), TestAuthority::new());
    let mut map = map(&proxy);
    map.insert("client-ca-file".to_owned(), clients.pem());
    let trust = trust(&map);
    let forged = headers(&[("x-remote-user", "admin"), ("x-remote-group", "system:masters")]);
    for (chain, expected) in [
        (proxy.issue("front-proxy", &[]), "admin"),
        (proxy.issue("somebody", &[]), "bad"),
        (clients.issue("jo", &["a"]), "jo"),
        (clients.issue("front-proxy", &[]), "front-proxy"),
        (other.issue("front-proxy", &[]), "bad"),
        (Vec::new(), "none"),
    ] {
        assert_eq!(name(&certificate_user(&trust, &chain, &forged)), expected);
    }
    // the proxy's own certificate without a user makes it nobody
    assert_eq!(name(&certificate_user(&trust, &proxy.issue("front-proxy", &[]), &HeaderMap::new())), "bad");
}

#[test]
fn an_empty_list_of_names_allows_any_and_no_authority_none() {
    let proxy = TestAuthority::new();
    let mut map = map(&proxy);
    map.insert("requestheader-allowed-names".to_owned(), "[]".to_owned());
    let named = headers(&[("x-remote-user", "jo")]);
    assert_eq!(name(&certificate_user(&trust(&map), &proxy.issue("anyone", &[]), &named)), "jo");
    assert_eq!(name(&certificate_user(&Trust::default(), &proxy.issue("anyone", &[]), &named)), "bad");
}

#[test]
fn a_rotated_authority_counts_at_once() {
    let (old, new) = (TestAuthority::new(), TestAuthority::new());
    let named = headers(&[("x-remote-user", "jo")]);
    let chain = old.issue("front-proxy", &[]);
    assert_eq!(name(&certificate_user(&trust(&map(&old)), &chain, &named)), "jo");
    assert_eq!(name(&certificate_user(&trust(&map(&new)), &chain, &named)), "bad");
}

#[test]
fn bearer_tokens_are_found_in_any_case() {
    for value in ["Bearer abc", "bearer abc ", "BEARER  abc"] {
        assert_eq!(bearer_token(&headers(&[("authorization", value)])).expect(value).expose(), b"abc");
    }
    for value in ["Basic abc", "Bearer", "Bearer  ", "abc"] {
        assert!(bearer_token(&headers(&[("authorization", value)])).is_none(), "{value}");
    }
}

#[test]
fn impersonation_is_refused_whatever_the_header() {
    for name in ["impersonate-user", "impersonate-group", "impersonate-extra-scopes"] {
        assert!(refuse_impersonation(&headers(&[(name, "x")])).is_err());
    }
    assert!(refuse_impersonation(&headers(&[("x-remote-user", "x")])).is_ok());
}
