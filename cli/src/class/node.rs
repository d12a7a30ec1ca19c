//! A manifest as a tree whose every part knows its place, so that all mistakes in it can be told at once.

use std::fmt;

use coffer_provider::class::Position;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A value. It has no `Debug`: a class's arguments may be secret.
pub(crate) struct Node {
    /// Where it begins; for a block of text, where the text does. None where it comes from no file.
    pub(crate) at: Option<Position>,
    /// What it is.
    pub(crate) value: Value,
}

/// What a value can be. Kubernetes takes only strings for the strings of a class, so all else is one.
pub(crate) enum Value {
    /// A string that is written as one.
    Text(String),
    /// A map, in the order of writing.
    Map(Vec<Entry>),
    /// A list.
    List(Vec<Node>),
    /// Something else, by its name.
    Other(&'static str),
}

/// A member of a map.
pub(crate) struct Entry {
    /// Where it begins.
    pub(crate) at: Option<Position>,
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) node: Node,
}

impl Node {
    /// A member of a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.name == name).map(|entry| &entry.node)
    }

    /// The members of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// A string's text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// What the value is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a string",
            Value::Map(_) => "a map",
            Value::List(_) => "a list",
            Value::Other(kind) => kind,
        }
    }
}

fn position(location: Location) -> Option<Position> {
    let (line, column) = (location.line(), location.column());
    (line > 0).then_some(Position { line, column })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { at: position(defined), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other("empty"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Spanned { value: name, referenced, .. }) = map.next_key::<Spanned<String>>()? {
            entries.push(Entry { at: position(referenced), name, node: map.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}

/// What a program answered: it has no places.
impl From<serde_json::Value> for Node {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::String(text) => Value::Text(text),
            Json::Object(members) => {
                let entry = |(name, node): (String, Json)| Entry { at: None, name, node: node.into() };
                Value::Map(members.into_iter().map(entry).collect())
            }
            Json::Array(items) => Value::List(items.into_iter().map(Self::from).collect()),
            Json::Bool(_) => Value::Other("a boolean"),
            Json::Number(_) => Value::Other("a number"),
            Json::Null => Value::Other("empty"),
        };
        Self { at: None, value }
    }
}
