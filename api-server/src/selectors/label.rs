//! `labelSelector`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

use super::label_parser::LabelParser;
use super::{SelectorError, shortened};

/// A parsed `labelSelector`
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    /// All of them must match.
    terms: Vec<LabelTerm>,
}

/// One requirement on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabelTerm {
    pub(super) key: String,
    pub(super) condition: LabelCondition,
}

/// What is required of the label with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LabelCondition {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Parses a label selector.
    ///
    /// # Errors
    /// It cannot be read, or a key or value is none that a label can have.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let terms = LabelParser::parse(text);
        let terms = terms.map_err(|cause| SelectorError::Label { selector: shortened(text), cause })?;
        Ok(Self { terms })
    }

    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.terms.iter().all(|term| term.condition.matches(labels.get(&term.key)))
    }

    /// Returns whether every object is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns the selector as an access review takes it; `None` where it is empty. A review knows no
    /// `>` and `<`: without them it is asked for more than is answered.
    pub(crate) fn requirements(&self) -> Option<Vec<LabelSelectorRequirement>> {
        let requirements: Vec<_> = self.terms.iter().filter_map(LabelTerm::requirement).collect();
        (!requirements.is_empty()).then_some(requirements)
    }
}

impl LabelTerm {
    fn requirement(&self) -> Option<LabelSelectorRequirement> {
        let (operator, values) = match &self.condition {
            LabelCondition::In(values) => ("In", Some(values.iter().cloned().collect())),
            LabelCondition::NotIn(values) => ("NotIn", Some(values.iter().cloned().collect())),
            LabelCondition::Exists => ("Exists", None),
            LabelCondition::DoesNotExist => ("DoesNotExist", None),
            LabelCondition::GreaterThan(_) | LabelCondition::LessThan(_) => return None,
        };
        Some(LabelSelectorRequirement { key: self.key.clone(), operator: operator.to_owned(), values })
    }
}

impl LabelCondition {
    fn matches(&self, value: Option<&String>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(values) => value.is_some_and(|value| values.contains(value)),
            Self::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
            Self::GreaterThan(limit) => number().is_some_and(|number| number > *limit),
            Self::LessThan(limit) => number().is_some_and(|number| number < *limit),
        }
    }
}
