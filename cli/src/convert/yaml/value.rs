//! The value of a YAML document: what Kubernetes sees of it, in the order of writing.

use serde_json::Value;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::convert) enum PlainValue {
    /// A scalar.
    Scalar(PlainScalar),
    /// A list.
    List(Vec<Self>),
    /// A map, in the order of writing.
    Map(Vec<(String, Self)>),
}

/// A scalar as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::convert) struct PlainScalar {
    /// The text, without quotes and escapes.
    pub(in crate::convert) text: String,
    /// Whether it is a string for every parser; else it may be a number, a boolean or empty.
    pub(in crate::convert) is_string: bool,
}

impl PlainValue {
    /// Returns a string.
    pub(in crate::convert) fn string(text: impl Into<String>) -> Self {
        Self::Scalar(PlainScalar { text: text.into(), is_string: true })
    }

    /// Returns a value that is written without quotes, such as a boolean.
    pub(in crate::convert) fn literal(text: &str) -> Self {
        Self::Scalar(PlainScalar { text: text.to_owned(), is_string: false })
    }

    /// Returns a map.
    pub(in crate::convert) fn map<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Returns the value of a map's member.
    pub(in crate::convert) fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns the value at a path of members.
    pub(in crate::convert) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// Returns the value at a path of members, to be changed.
    pub(in crate::convert) fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |value, name| {
            let Self::Map(members) = value else { return None };
            members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
        })
    }

    /// Returns the members of a map; for any other value, an empty list.
    pub(in crate::convert) fn members(&self) -> &[(String, Self)] {
        if let Self::Map(members) = self { members } else { &[] }
    }

    /// Returns the items of a list; for any other value, an empty list.
    pub(in crate::convert) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// Returns the text of a scalar.
    pub(in crate::convert) fn text(&self) -> Option<&str> {
        if let Self::Scalar(scalar) = self { Some(&scalar.text) } else { None }
    }

    /// Returns whether this is nothing: an empty map, an empty list or null.
    pub(in crate::convert) fn is_nothing(&self) -> bool {
        match self {
            Self::Scalar(scalar) => !scalar.is_string && matches!(scalar.text.as_str(), "" | "~" | "null"),
            Self::List(items) => items.is_empty(),
            Self::Map(members) => members.is_empty(),
        }
    }

    /// Adds a member to a map, or replaces it.
    pub(in crate::convert) fn set(&mut self, name: &str, value: Self) {
        if self.is_nothing() {
            *self = Self::Map(Vec::new());
        }
        if let Self::Map(members) = self {
            match members.iter_mut().find(|(key, _)| key == name) {
                Some((_, old)) => *old = value,
                None => members.push((name.to_owned(), value)),
            }
        }
    }

    /// Adds an item to the list that is the map's member of this name, which is made if there is
    /// none.
    pub(in crate::convert) fn push(&mut self, list: &str, item: Self) {
        match self.at_mut(&[list]) {
            Some(Self::List(items)) => items.push(item),
            _ => self.set(list, Self::List(vec![item])),
        }
    }
}

/// Converts an answer of kube-apiserver.
impl From<&Value> for PlainValue {
    fn from(json: &Value) -> Self {
        match json {
            Value::String(text) => Self::string(text),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Map(members.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
            other => Self::literal(&other.to_string()),
        }
    }
}

/// Returns whether a plain scalar is a string for parsers of YAML 1.1 and 1.2 alike.
pub(super) fn is_plain_string(text: &str) -> bool {
    const WORDS: [&str; 12] = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<"];
    let lower = text.to_ascii_lowercase();
    let number = text.trim_start_matches(['+', '-', '.']);
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        || matches!(lower.trim_start_matches(['+', '-', '.']), "inf" | "nan");
    !WORDS.contains(&lower.as_str()) && !is_number && text != "="
}
