//! Field and label selectors of lists.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldSelectorRequirement, LabelSelectorRequirement};
use kube::core::{Expression, Selector, SelectorExt};

/// A selector that this server does not support or cannot parse.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    #[error(
        "field selector {0:?} is not supported: select by metadata.name and metadata.namespace, with =, == or !="
    )]
    Field(String),
    #[error("the field selector names {0:?} twice")]
    FieldTwice(&'static str),
    #[error("label selector {0:?} cannot be read")]
    Label(String),
}

/// A parsed `fieldSelector`. A list by name is authorized as that name, so it must answer nothing
/// else.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    terms: Vec<FieldTerm>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldTerm {
    field: &'static str,
    is_equal: bool,
    value: String,
}

const NAME: &str = "metadata.name";
const NAMESPACE: &str = "metadata.namespace";

impl FieldSelector {
    /// Parses a field selector.
    ///
    /// # Errors
    /// A term is not supported.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut terms: Vec<FieldTerm> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let term = FieldTerm::parse(part)?;
            if term.is_equal && terms.iter().any(|other| other.is_equal && other.field == term.field) {
                return Err(SelectorError::FieldTwice(term.field));
            }
            terms.push(term);
        }
        Ok(Self { terms })
    }

    /// Returns the one name that is selected, if any.
    pub(crate) fn name(&self) -> Option<&str> {
        self.terms.iter().find(|term| term.is_equal && term.field == NAME).map(|term| term.value.as_str())
    }

    pub(crate) fn matches(&self, namespace: &str, name: &str) -> bool {
        self.terms.iter().all(|term| {
            let actual = if term.field == NAME { name } else { namespace };
            (actual == term.value) == term.is_equal
        })
    }

    /// Returns the selector as an access review takes it; `None` where it is empty.
    pub(crate) fn requirements(&self) -> Option<Vec<FieldSelectorRequirement>> {
        let requirement = |term: &FieldTerm| FieldSelectorRequirement {
            key: term.field.to_owned(),
            operator: if term.is_equal { "In" } else { "NotIn" }.to_owned(),
            values: Some(vec![term.value.clone()]),
        };
        (!self.terms.is_empty()).then(|| self.terms.iter().map(requirement).collect())
    }
}

impl FieldTerm {
    fn parse(part: &str) -> Result<Self, SelectorError> {
        let unsupported = || SelectorError::Field(shortened(part));
        let (field, is_equal, value) = if let Some((field, value)) = part.split_once("!=") {
            (field, false, value)
        } else if let Some((field, value)) = part.split_once("==") {
            (field, true, value)
        } else {
            let (field, value) = part.split_once('=').ok_or_else(unsupported)?;
            (field, true, value)
        };
        let field = [NAME, NAMESPACE].into_iter().find(|known| *known == field.trim());
        let value = value.trim();
        // an empty value selects nothing, and names need no escapes
        if value.contains(['\\', '=']) {
            return Err(unsupported());
        }
        Ok(Self { field: field.ok_or_else(unsupported)?, is_equal, value: value.to_owned() })
    }
}

/// A parsed `labelSelector`
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    expressions: Vec<Expression>,
    selector: Selector,
}

impl LabelSelector {
    /// Parses a label selector.
    ///
    /// # Errors
    /// A term cannot be parsed. Comparisons by `<` and `>` are not supported.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let parts = terms(text).into_iter().map(str::trim).filter(|part| !part.is_empty());
        let expressions: Vec<Expression> = parts
            .map(|part| expression(part).ok_or_else(|| SelectorError::Label(shortened(part))))
            .collect::<Result<_, _>>()?;
        let mut selector = Selector::default();
        selector.extend(expressions.iter().cloned());
        Ok(Self { expressions, selector })
    }

    pub(crate) fn matches(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        self.selector.matches(labels)
    }

    /// Returns whether every object is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Returns the selector as an access review takes it; `None` where it is empty.
    pub(crate) fn requirements(&self) -> Option<Vec<LabelSelectorRequirement>> {
        let requirement = |expression: &Expression| {
            let (key, operator, values) = match expression {
                Expression::In(key, values) => (key, "In", Some(values.iter().cloned().collect())),
                Expression::NotIn(key, values) => (key, "NotIn", Some(values.iter().cloned().collect())),
                Expression::Equal(key, value) => (key, "In", Some(vec![value.clone()])),
                Expression::NotEqual(key, value) => (key, "NotIn", Some(vec![value.clone()])),
                Expression::Exists(key) => (key, "Exists", None),
                Expression::DoesNotExist(key) => (key, "DoesNotExist", None),
            };
            LabelSelectorRequirement { key: key.clone(), operator: operator.to_owned(), values }
        };
        (!self.expressions.is_empty()).then(|| self.expressions.iter().map(requirement).collect())
    }
}

/// Splits a label selector at the commas outside of brackets.
fn terms(text: &str) -> Vec<&str> {
    let mut within = false;
    text.split(|character| {
        match character {
            '(' => within = true,
            ')' => within = false,
            _ => {}
        }
        character == ',' && !within
    })
    .collect()
}

fn expression(part: &str) -> Option<Expression> {
    if let Some(key) = part.strip_prefix('!') {
        return Some(Expression::DoesNotExist(label_key(key)?));
    }
    if let Some((left, values)) = part.split_once('(') {
        let values: BTreeSet<String> =
            values.strip_suffix(')')?.split(',').map(label_value).collect::<Option<_>>()?;
        let (key, operator) = left.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => Some(Expression::In(label_key(key)?, values)),
            "notin" => Some(Expression::NotIn(label_key(key)?, values)),
            _ => None,
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Expression::NotEqual(label_key(key)?, label_value(value)?));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Expression::Equal(label_key(key)?, label_value(value)?));
    }
    Some(Expression::Exists(label_key(part)?))
}

fn label_key(text: &str) -> Option<String> {
    let key = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    (!key.is_empty() && key.len() <= 317 && key.bytes().all(is_plain)).then(|| key.to_owned())
}

fn label_value(text: &str) -> Option<String> {
    let value = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (value.len() <= 63 && value.bytes().all(is_plain)).then(|| value.to_owned())
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
