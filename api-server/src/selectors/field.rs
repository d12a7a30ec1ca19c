//! `fieldSelector`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldSelectorRequirement;

use super::{FieldCause, SelectorError, shortened};

/// A parsed `fieldSelector`. A list by name is authorized as that name, so it must answer nothing
/// else.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    /// All of them must match.
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
    /// Parses a field selector. White space counts, as for kube-apiserver.
    ///
    /// # Errors
    /// A term cannot be read, or names another field.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parts = terms(text);
        // kube-apiserver authorizes by the first name in this order
        parts.sort_unstable();
        // an operator alone selects everything
        let is_term = |part: &&str| !["", "=", "==", "!="].contains(part);
        let terms = parts.into_iter().filter(is_term).map(FieldTerm::parse).collect::<Result<_, _>>();
        let terms = terms.map_err(|cause| SelectorError::Field { selector: shortened(text), cause })?;
        Ok(Self { terms })
    }

    /// Returns the name by which a list is authorized, if one is selected. One that no object can
    /// have is none.
    pub(crate) fn name(&self) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.is_equal && term.field == NAME)?;
        let name = term.value.as_str();
        let is_segment = !name.contains(['/', '%']) && !["", ".", ".."].contains(&name);
        is_segment.then_some(name)
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
    fn parse(part: &str) -> Result<Self, FieldCause> {
        let (field, is_equal, value) = split(part).ok_or_else(|| FieldCause::NoTerm(shortened(part)))?;
        let known = [NAME, NAMESPACE].into_iter().find(|known| *known == field);
        let value = unescaped(value)?;
        Ok(Self { field: known.ok_or_else(|| FieldCause::UnknownField(shortened(field)))?, is_equal, value })
    }
}

/// Splits a selector at the commas without a backslash.
fn terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    let is_separator = |character| {
        let is_separator = character == ',' && !escaped;
        escaped = character == '\\' && !escaped;
        is_separator
    };
    text.split(is_separator).collect()
}

/// Splits a term at its first operator: `!=`, `==` or `=`.
fn split(part: &str) -> Option<(&str, bool, &str)> {
    let equals = part.find('=')?;
    match part.find("!=") {
        Some(at) if at < equals => Some((&part[..at], false, &part[at + 2..])),
        _ => {
            let value = &part[equals + 1..];
            Some((&part[..equals], true, value.strip_prefix('=').unwrap_or(value)))
        }
    }
}

/// Returns a value without its escapes.
fn unescaped(value: &str) -> Result<String, FieldCause> {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => text.push(escaped),
                _ => return Err(FieldCause::Escape(shortened(value))),
            },
            ',' | '=' => return Err(FieldCause::Unescaped(shortened(value))),
            character => text.push(character),
        }
    }
    Ok(text)
}
