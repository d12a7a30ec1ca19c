//! A manifest as a tree with the position of every part, so that all mistakes can be reported at
//! once.

use std::fmt;

use coffer_provider::class::Position;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

/// A value with its position. There is no `Debug`, because a class's `secretArgs` may be secret.
pub(crate) struct YamlNode {
    /// Where the value begins; for a block of text, where the text begins. `None` if the value does
    /// not come from a file.
    pub(crate) at: Option<Position>,
    /// The value.
    pub(crate) value: YamlValue,
}

/// A value. Where a class has strings, Kubernetes accepts only strings, so the other scalars
/// are not distinguished.
pub(crate) enum YamlValue {
    /// A string.
    Text(String),
    /// A map, in the order of writing.
    Map(Vec<YamlMember>),
    /// A list.
    List(Vec<YamlNode>),
    /// Another scalar, described in words.
    Other(&'static str),
}

/// A member of a map.
pub(crate) struct YamlMember {
    /// Where the member begins.
    pub(crate) at: Option<Position>,
    /// The name.
    pub(crate) name: String,
    /// The value.
    pub(crate) node: YamlNode,
}

impl YamlNode {
    /// Returns the value of a map's member.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.name == name).map(|member| &member.node)
    }

    /// Returns the members of a map; for any other value, an empty list.
    pub(crate) fn members(&self) -> &[YamlMember] {
        if let YamlValue::Map(members) = &self.value { members } else { &[] }
    }

    /// Returns the items of a list; for any other value, an empty list.
    pub(crate) fn items(&self) -> &[Self] {
        if let YamlValue::List(items) = &self.value { items } else { &[] }
    }

    /// Returns the text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        if let YamlValue::Text(text) = &self.value { Some(text) } else { None }
    }

    /// Replaces all positions.
    pub(super) fn move_positions(&mut self, moved: &impl Fn(Position) -> Position) {
        self.at = self.at.map(moved);
        match &mut self.value {
            YamlValue::Map(members) => {
                for member in members {
                    member.at = member.at.map(moved);
                    member.node.move_positions(moved);
                }
            }
            YamlValue::List(items) => items.iter_mut().for_each(|item| item.move_positions(moved)),
            YamlValue::Text(_) | YamlValue::Other(_) => {}
        }
    }

    /// Describes the kind of the value in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            YamlValue::Text(_) => "a string",
            YamlValue::Map(_) => "a map",
            YamlValue::List(_) => "a list",
            YamlValue::Other(kind) => kind,
        }
    }
}

fn position(location: Location) -> Option<Position> {
    let (line, column) = (location.line(), location.column());
    (line > 0).then_some(Position { line, column })
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { at: position(defined), value })
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<YamlValue, E> {
        Ok(YamlValue::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<YamlValue, E> {
        Ok(YamlValue::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Other("empty"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<YamlValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(YamlValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlValue, A::Error> {
        let mut members = Vec::new();
        while let Some(Spanned { value: name, referenced, .. }) = map.next_key::<Spanned<String>>()? {
            members.push(YamlMember { at: position(referenced), name, node: map.next_value()? });
        }
        Ok(YamlValue::Map(members))
    }
}

/// Converts an answer of kube-apiserver, which has no positions.
impl From<Value> for YamlNode {
    fn from(json: Value) -> Self {
        let value = match json {
            Value::String(text) => YamlValue::Text(text),
            Value::Object(members) => YamlValue::Map(members.into_iter().map(member).collect()),
            Value::Array(items) => YamlValue::List(items.into_iter().map(Self::from).collect()),
            Value::Bool(_) => YamlValue::Other("a boolean"),
            Value::Number(_) => YamlValue::Other("a number"),
            Value::Null => YamlValue::Other("empty"),
        };
        Self { at: None, value }
    }
}

fn member((name, value): (String, Value)) -> YamlMember {
    YamlMember { at: None, name, node: value.into() }
}
