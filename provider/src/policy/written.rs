//! A policy as it is written, in YAML.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_saphyr::{Budget, Location, Options, Spanned, UserMessageFormatter};

use super::Policy;
use super::rule::{AddressPattern, Rule, vault_namespace};
use crate::glob::Glob;

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPolicy {
    /// Line and column, from 1; none if there is no place for the mistake.
    at: Option<(u64, u64)>,
    message: String,
}

type Patterns = Option<Vec<Spanned<String>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPolicy {
    rules: Vec<Spanned<WrittenRule>>,
    #[serde(default)]
    default: DefaultVerdict,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum DefaultVerdict {
    #[default]
    Refuse,
    Allow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WrittenRule {
    #[serde(default, deserialize_with = "list")]
    namespaces: Patterns,
    #[serde(default, deserialize_with = "list")]
    vault_addresses: Patterns,
    #[serde(default, deserialize_with = "list")]
    vault_namespaces: Patterns,
    #[serde(default, deserialize_with = "list")]
    auth_mounts: Patterns,
    #[serde(default, deserialize_with = "list")]
    roles: Patterns,
    #[serde(default, deserialize_with = "list")]
    audiences: Patterns,
    #[serde(rename = "skipTLSVerify", default = "yes")]
    skip_tls_verify: bool,
}

/// Parses a policy.
pub(super) fn parse(text: &str) -> Result<Policy, BadPolicy> {
    let written: WrittenPolicy = serde_saphyr::from_str_with_options(text, options()).map_err(unreadable)?;
    let rules = written.rules.into_iter().map(rule).collect::<Result<_, _>>()?;
    Ok(Policy { rules, allows_others: matches!(written.default, DefaultVerdict::Allow) })
}

fn rule(written: Spanned<WrittenRule>) -> Result<Rule, BadPolicy> {
    let Spanned { value, referenced, .. } = written;
    Ok(Rule {
        line: referenced.line(),
        namespaces: globs(value.namespaces, str::to_owned)?,
        vault_addresses: patterns(value.vault_addresses, AddressPattern::parse)?,
        vault_namespaces: globs(value.vault_namespaces, vault_namespace)?,
        auth_mounts: globs(value.auth_mounts, |text| text.trim_matches('/').to_owned())?,
        roles: globs(value.roles, str::to_owned)?,
        audiences: globs(value.audiences, str::to_owned)?,
        skip_tls_verify: value.skip_tls_verify,
    })
}

fn globs(written: Patterns, normalise: impl Fn(&str) -> String) -> Result<Option<Vec<Glob>>, BadPolicy> {
    let parse =
        |text: &str| Glob::parse(&normalise(text)).map_err(|bad| format!("the pattern {text:?} {bad}"));
    patterns(written, parse)
}

fn patterns<T, E: fmt::Display>(
    written: Patterns,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<Vec<T>>, BadPolicy> {
    let parse = |Spanned { value, referenced, .. }: Spanned<String>| {
        parse(&value).map_err(|bad| BadPolicy { at: place(referenced), message: bad.to_string() })
    };
    written.map(|list| list.into_iter().map(parse).collect()).transpose()
}

/// Deserializes a list. A field without a value is an empty list, which allows nothing.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Patterns, D::Error> {
    let list: Option<Vec<Spanned<String>>> = Deserialize::deserialize(deserializer)?;
    Ok(Some(list.unwrap_or_default()))
}

fn yes() -> bool {
    true
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = 16;
    budget.max_nodes = 100_000;
    budget.max_events = 400_000;
    budget.max_aliases = 1000;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 100_000;
    options.with_snippet = false;
    options.strict_booleans = true;
    options
}

fn unreadable(error: serde_saphyr::Error) -> BadPolicy {
    let words = error.render_with_formatter(&UserMessageFormatter);
    let reason = words.lines().next().unwrap_or_default();
    let reason = reason.split_once(" at line ").map_or(reason, |(before, _)| before);
    BadPolicy { at: error.location().and_then(place), message: reason.to_owned() }
}

fn place(location: Location) -> Option<(u64, u64)> {
    (location.line() > 0).then(|| (location.line(), location.column()))
}

impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for BadPolicy {}
