//! The operator's policy: which namespaces of Kubernetes may use which Vault, and how they log in.

mod file;
mod rule;
mod written;

pub use file::{PolicyFile, PolicyFileError};
pub use written::BadPolicy;

use self::rule::Rule;
use crate::class::Class;
use crate::{Error, ErrorKind, RefusalReason};

/// A policy. The first rule for a namespace decides.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    /// Whether a namespace without a rule may do everything.
    allows_others: bool,
}

/// What a policy forbids in a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRefusal {
    /// The line of the rule; none if there is no rule for the namespace.
    pub line: Option<u64>,
    /// The name of the parameter after its prefix, such as `Address`.
    pub parameter: Option<&'static str>,
    /// What is wrong, with the line of the rule.
    pub message: String,
}

impl Policy {
    /// Parses a policy in YAML.
    ///
    /// # Errors
    /// [`BadPolicy`], with line and column.
    pub fn parse(text: &str) -> Result<Self, BadPolicy> {
        written::parse(text)
    }

    /// Returns everything that the policy forbids in a class of a namespace.
    #[must_use]
    pub fn refusals(&self, namespace: &str, class: &Class) -> Vec<PolicyRefusal> {
        let Some(rule) = self.rules.iter().find(|rule| rule.is_for(namespace)) else {
            if self.allows_others {
                return Vec::new();
            }
            let message = format!("policy: no rule is for namespace {namespace:?}");
            return vec![PolicyRefusal { line: None, parameter: None, message }];
        };
        let line = rule.line;
        let refusal = |forbidden: rule::Forbidden| PolicyRefusal {
            line: Some(line),
            parameter: Some(forbidden.parameter),
            message: format!(
                "policy line {line}: parameter {:?}: {}",
                usual_name(forbidden.parameter),
                forbidden.reason
            ),
        };
        rule.forbidden(class).into_iter().map(refusal).collect()
    }

    /// Checks a class of a namespace.
    ///
    /// # Errors
    /// An error of kind [`RefusedByPolicy`](ErrorKind::RefusedByPolicy), for the first refusal.
    pub fn check(&self, namespace: &str, class: &Class) -> Result<(), Error> {
        match self.refusals(namespace, class).into_iter().next() {
            Some(refusal) => Err(Error::new(ErrorKind::RefusedByPolicy, refusal.message)
                .refused_for(RefusalReason::Policy)
                .with_advice("The operator of the cluster wrote that policy")),
            None => Ok(()),
        }
    }
}

/// Returns the name by which classes usually set a parameter.
fn usual_name(parameter: &str) -> String {
    match parameter {
        "RoleName" => "roleName".to_owned(),
        "Audience" => "audience".to_owned(),
        _ => format!("vault{parameter}"),
    }
}

#[cfg(test)]
mod tests;
