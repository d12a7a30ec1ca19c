use std::collections::BTreeMap;

use super::Policy;
use crate::class::Class;
use crate::{ErrorKind, Settings};

const POLICY: &str = "\
# of the platform team
rules:
  - namespaces: [\"team-a-*\"]
    vaultAddresses: [\"https://vault.example.com:8200\", \"https://[fd00::1]\"]
    vaultNamespaces: [team-a, \"team-a/*\"]
    authMounts: [kubernetes]
    roles: [\"team-a-*\"]
    skipTLSVerify: false

  - namespaces: [\"team-*\"]
    vaultNamespaces: [root]
    vaultAddresses: [\"https://*.example.com:443\", \"https://vault.example.com:8200\"]
    audiences: [vault, \"\"]
  - namespaces: [none]
    roles: []
";

fn class(pairs: &[(&str, &str)]) -> Class {
    let usual = [
        ("roleName", "team-a-web"),
        ("objects", "[{objectName: a, secretPath: b/c}]"),
        ("vaultAddress", "https://VAULT.example.com:8200/"),
        ("vaultNamespace", "team-a"),
    ];
    let parameters: BTreeMap<String, String> =
        usual.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Class::parse(&parameters, &Settings::default()).expect("a class")
}

fn refusal(namespace: &str, pairs: &[(&str, &str)]) -> Option<String> {
    let policy = Policy::parse(POLICY).expect("a policy");
    policy.check(namespace, &class(pairs)).err().map(|error| {
        assert_eq!(error.kind, ErrorKind::RefusedByPolicy);
        error.to_string()
    })
}

fn refused(text: &str) -> String {
    Policy::parse(text).expect_err(text).to_string()
}

#[test]
fn the_first_rule_for_the_namespace_decides() {
    for pairs in [
        &[][..],
        &[("vaultNamespace", "/team-a/")],
        &[("vaultNamespace", "team-a/x/y")],
        &[("vaultNamespace", "//team-a//x/ ")],
        &[("vaultAddress", "https://[FD00:0::1]:443")],
        &[("vaultAuthMountPath", "/kubernetes/")],
        &[("audience", "anything")],
    ] {
        assert_eq!(refusal("team-a-shop", pairs), None, "{pairs:?}");
    }
    for (name, value, word) in [
        ("vaultAddress", "https://vault.example.com", "vaultAddresses"),
        ("vaultAddress", "http://vault.example.com:8200", "vaultAddresses"),
        ("vaultAddress", "https://vault.example.com:8200/x", "vaultAddresses"),
        ("vaultNamespace", "team-b", "vaultNamespaces"),
        ("vaultNamespace", "root", "the root namespace"),
        ("vaultNamespace", "/", "the root namespace"),
        ("vaultNamespace", " root/ ", "the root namespace"),
        ("vaultNamespace", "team-ab", "vaultNamespaces"),
        ("vaultAuthMountPath", "cert", "authMounts"),
        ("roleName", "team-b-web", "roles"),
        ("vaultSkipTLSVerify", "true", "verified"),
    ] {
        let said = refusal("team-a-shop", &[(name, value)]).expect(value);
        let expected = format!("policy line 3: parameter {name:?}: ");
        assert!(said.starts_with(&expected) && said.contains(word), "{said}");
    }
}

#[test]
fn a_list_that_is_missing_allows_everything_and_an_empty_one_nothing() {
    let root = ("vaultNamespace", "root");
    assert_eq!(refusal("team-b", &[root, ("roleName", "any"), ("vaultSkipTLSVerify", "true")]), None);
    assert_eq!(refusal("team-b", &[("vaultNamespace", "/")]), None);
    assert!(refusal("team-b", &[]).expect("team-a is not root").starts_with("policy line 10: "));
    assert!(refusal("none", &[]).expect("no role").contains("line 14"));
    let nothing = Policy::parse("rules: [{roles: }]").expect("a policy");
    assert!(nothing.check("x", &class(&[])).is_err());
}

#[test]
fn a_pattern_of_addresses_cannot_be_met_by_a_path() {
    let at = |address| refusal("team-b", &[("vaultNamespace", "root"), ("vaultAddress", address)]);
    for allowed in ["https://a.b.EXAMPLE.com", "https://vault.example.com:443"] {
        assert_eq!(at(allowed), None);
    }
    for other in ["https://evil.net/x.example.com", "https://a.example.com/x", "https://a.example.com:8200"] {
        assert!(at(other).is_some(), "{other}");
    }
}

#[test]
fn an_audience_is_asked_for_only_where_the_rule_lists_some() {
    let audience = |audience| refusal("team-b", &[("vaultNamespace", "root"), ("audience", audience)]);
    assert_eq!((audience("vault"), audience("")), (None, None));
    assert!(audience("sts.amazonaws.com").expect("another").contains("audiences"));
    let strict = Policy::parse("rules: [{audiences: [vault]}]").expect("a policy");
    let said = strict.check("x", &class(&[])).expect_err("no audience").to_string();
    assert!(said.contains("a class without an audience"), "{said}");
}

#[test]
fn a_namespace_without_a_rule_is_refused_unless_the_default_allows_it() {
    let said = refusal("other", &[]).expect("no rule");
    assert!(said.starts_with("policy: no rule is for namespace \"other\""), "{said}");
    let open = Policy::parse("rules: [{namespaces: [a], roles: []}]\ndefault: allow").expect("a policy");
    assert!(open.check("other", &class(&[])).is_ok() && open.check("a", &class(&[])).is_err());
}

#[test]
fn every_refusal_is_told_to_who_checks_a_class() {
    let policy = Policy::parse(POLICY).expect("a policy");
    let refusals = policy.refusals("team-a-x", &class(&[("roleName", "r"), ("vaultNamespace", "n")]));
    let parameters: Vec<_> = refusals.iter().map(|refusal| (refusal.line, refusal.parameter)).collect();
    assert_eq!(parameters, [(Some(3), Some("Namespace")), (Some(3), Some("RoleName"))]);
}

#[test]
fn a_mistake_has_line_and_column() {
    for (text, expected) in [
        ("rules:\n  - namespace: [a]\n", "line 2, column 5: unknown field"),
        ("rules:\n  - roles: a\n", "line 2, column 12: "),
        ("rules:\n  - roles:\n      - \"a[\"\n", "line 3, column 9: the pattern \"a[\" has a [ without"),
        ("rules:\n  - vaultAddresses: [vault]\n", "line 2, column 22: \"vault\" is no Vault address"),
        ("rules:\n  - vaultAddresses: [\"*.example\"]\n", "line 2, column 22: \"*.example\" is no pattern"),
        ("rules: []\ndefault: deny\n", "line 2, column 10: "),
        ("rules: []\nrule: []\n", "line 2, column 1: unknown field"),
        ("default: allow\n", "missing field `rules`"),
        ("rules:\n  - skipTLSVerify: maybe\n", "line 2, column 20: "),
        ("rules: [\n", "line "),
        ("", ""),
    ] {
        let said = refused(text);
        assert!(said.contains(expected), "{text:?}: {said}");
    }
}
