//! Looks at the types of values in `objects`, after the list could not be read.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Options, Spanned};

use super::fields::FIELDS;
use super::output::BadOutput;
use super::shortened;
use crate::class::finding::{Finding, Position};

/// Maximum number of mistakes that are looked for.
const MAX_MISTAKES: usize = 100;

/// A node of the text, of any type.
enum Node {
    Null,
    Truth,
    Number,
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Self)>),
}

/// Number of values that aliases may stand for while mistakes are looked for. A class that is
/// refused is not cached, so this work is done again at each mount.
const MAX_REPLAYED: usize = 100;

/// Number of values in a text of which mistakes are looked for: some forty objects. It takes about
/// four milliseconds.
const MAX_NODES: usize = 600;

/// Returns the positions of the fields `secretKey` that are lists. A scalar is read as its text,
/// which YAML's types would change (`1.50` is not `1.5`): what is a list must be known before.
///
/// Only PEM goes with lists of keys. Other classes that cannot be read are not read again, and
/// aliases stand for few values here, since a class that is refused is read at each mount.
pub(super) fn lists_of_keys(text: &str, options: &Options) -> Vec<Position> {
    if !text.contains("pem") {
        return Vec::new();
    }
    let mut options = options.clone();
    options.alias_limits.max_total_replayed_events = MAX_REPLAYED;
    let Ok(Node::List(entries)) = serde_saphyr::from_str_with_options(text, options) else {
        return Vec::new();
    };
    let fields = entries.iter().flat_map(|entry| match &entry.value {
        Node::Map(fields) => fields.as_slice(),
        _ => &[],
    });
    let lists = fields.filter(|(field, value)| field.value == "secretKey" && matches!(value, Node::List(_)));
    lists.map(|(field, _)| Position::of(field.referenced)).collect()
}

/// Returns each place with a value of the wrong type; none if the text is wrong in another way, or
/// larger than these limits.
pub(super) fn type_mistakes(text: &str, options: &Options, lists_of_keys: &[Position]) -> Vec<Finding> {
    let mut options = options.clone();
    options.alias_limits.max_total_replayed_events = MAX_REPLAYED;
    options.budget.get_or_insert_default().max_nodes = MAX_NODES;
    let options = &options;
    let Ok(root) = serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options.clone()) else {
        return Vec::new();
    };
    let whole = |message: String| {
        let message = format!("not a list of objects in YAML or JSON: {message}");
        vec![Finding::of("objects", message).at(Some(Position::of(root.referenced)))]
    };
    match &root.value {
        Node::List(entries) => {
            let mistakes =
                entries.iter().enumerate().flat_map(|(n, entry)| of_entry(n + 1, entry, lists_of_keys));
            mistakes.take(MAX_MISTAKES).collect()
        }
        Node::Map(_) => whole("it is a map. Begin each object with \"- \"".to_owned()),
        Node::Text(inner) if is_list(inner, options) => {
            whole("it is a text that holds the list. Remove the quotes around it".to_owned())
        }
        node => whole(format!("it is {}", node.kind())),
    }
}

/// Returns the kind of a value of `secretArgs`, as a message names it.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => TRUTH,
        Value::Number(_) => NUMBER,
        Value::String(_) => TEXT,
        Value::Array(_) => LIST,
        Value::Object(_) => MAP,
    }
}

const NULL: &str = "empty";
const TRUTH: &str = "true or false";
const NUMBER: &str = "a number";
const TEXT: &str = "a text";
const LIST: &str = "a list";
const MAP: &str = "a map";

impl Node {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => NULL,
            Self::Truth => TRUTH,
            Self::Number => NUMBER,
            Self::Text(_) => TEXT,
            Self::List(_) => LIST,
            Self::Map(_) => MAP,
        }
    }

    fn is_scalar(&self) -> bool {
        matches!(self, Self::Truth | Self::Number | Self::Text(_))
    }
}

fn is_list(text: &str, options: &Options) -> bool {
    let list = serde_saphyr::from_str_with_options::<Node>(text, options.clone());
    matches!(list, Ok(Node::List(_)))
}

fn of_entry(number: usize, entry: &Spanned<Node>, lists_of_keys: &[Position]) -> Vec<Finding> {
    let Node::Map(fields) = &entry.value else {
        let message = format!(
            "object {number} of the list is {}, where a map with objectName and secretPath is expected",
            entry.value.kind()
        );
        return vec![Finding::of("objects", message).at(Some(Position::of(entry.referenced)))];
    };
    let name = fields.iter().find_map(|(field, value)| match value {
        Node::Text(name) if field.value == "objectName" => Some(shortened(name)),
        _ => None,
    });
    let mistakes = fields.iter().filter_map(|(field, value)| {
        let at = Position::of(field.referenced);
        let mut message = of_field(&field.value, value, lists_of_keys.contains(&at))?;
        if name.is_none() {
            message.push_str(&format!(" (object {number} of the list)"));
        }
        Some(Finding { object: name.clone(), ..Finding::of("objects", message).at(Some(at)) })
    });
    mistakes.collect()
}

/// Returns the mistake in the type of a field. Any scalar is a text, as it is for Go.
fn of_field(field: &str, value: &Node, is_list_of_keys: bool) -> Option<String> {
    let expected = match (field, value) {
        ("secretArgs", Node::Map(_) | Node::Null) => return None,
        ("secretArgs", _) => ARGUMENTS,
        ("secretKey" | "include" | "exclude", Node::List(items)) => {
            if let Some(item) = items.iter().find(|item| !item.value.is_scalar()) {
                return Some(format!("{field} holds {}, where {TEXT} is expected", item.value.kind()));
            }
            let is_refused = field == "secretKey" && !is_list_of_keys;
            return is_refused.then(|| format!("{field} {}", BadOutput::ListOfKeys));
        }
        ("include" | "exclude", Node::Null) => return None,
        ("include" | "exclude", _) => "a list of patterns",
        (_, Node::List(_) | Node::Map(_)) if FIELDS.contains(&field) => match field {
            "filePermission" => "a file mode such as 0644",
            "secretKey" => "a key, or a list of keys",
            "optional" => TRUTH,
            _ => TEXT,
        },
        _ => return None,
    };
    Some(format!("{field} is {}, where {expected} is expected", value.kind()))
}

/// What `secretArgs` has to be.
pub(super) const ARGUMENTS: &str = "a map of names to values";

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Truth)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            if FIELDS.contains(&name.value.as_str()) {
                members.push((name, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Node::Map(members))
    }
}
