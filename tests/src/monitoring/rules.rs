//! The shipped rules.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::kubernetes::{chart, objects};

/// What a test waits for in place of each `for`.
const FOR: &str = "2s";

/// The same for alerts about programs that Prometheus cannot reach: a machine with much else to do
/// misses scrapes for seconds.
const FOR_UNREACHABLE: &str = "8s";

/// What takes the place of each range of time, such as `[15m]`.
const RANGE: &str = "[10s]";

/// What takes the place of the limit of `CofferVolumeStale`: seconds since the last good mount.
const STALE: (&str, &str) = ("> 1800", "> 2");

/// Rules as Prometheus reads them.
pub struct AlertRules(Value);

impl AlertRules {
    /// Returns the path of the shipped file.
    pub fn file() -> PathBuf {
        chart().join("files/rules.yaml")
    }

    /// Reads the shipped rules as they are.
    ///
    /// # Panics
    /// If the file is not YAML.
    pub fn shipped() -> Self {
        let text = fs::read_to_string(Self::file()).expect("the file of rules");
        Self(objects(&text).remove(0))
    }

    /// Reads the shipped rules with times that a test can wait for: every `for` is 2 s or 8 s, every
    /// range 10 s, and volumes are stale after 2 s. Everything else is as shipped.
    ///
    /// # Panics
    /// If the limit for stale volumes is not where it was.
    pub fn shortened() -> Self {
        let Self(mut document) = Self::shipped();
        let mut limits = 0;
        for rule in rules_mut(&mut document) {
            let expression = rule["expr"].as_str().expect("an expression").to_owned();
            if rule.get("for").is_some() {
                rule["for"] = json!(if expression.contains("up{") { FOR_UNREACHABLE } else { FOR });
            }
            limits += expression.matches(STALE.0).count();
            rule["expr"] = json!(with_short_ranges(&expression).replace(STALE.0, STALE.1));
        }
        assert_eq!(limits, 1, "rules with the limit {}", STALE.0);
        Self(document)
    }

    /// Returns the document.
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// Returns all rules, each with its `alert`, `expr`, `labels` and `annotations`.
    pub fn rules(&self) -> Vec<Value> {
        let groups = self.0["groups"].as_array().into_iter().flatten();
        groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()).cloned().collect()
    }
}

fn rules_mut(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let groups = document["groups"].as_array_mut().into_iter().flatten();
    groups.flat_map(|group| group["rules"].as_array_mut().into_iter().flatten())
}

/// Returns an expression in which all ranges are short.
fn with_short_ranges(expression: &str) -> String {
    let mut parts = expression.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once(']') {
        Some((_, rest)) => text + RANGE + rest,
        None => text + "[" + part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_shortened() {
        assert_eq!(
            with_short_ranges("rate(a[5m]) / rate(b{c=\"d\"}[1h])"),
            "rate(a[10s]) / rate(b{c=\"d\"}[10s])"
        );
        assert_eq!(with_short_ranges("a > 0"), "a > 0");
    }
}
