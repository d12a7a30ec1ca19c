//! The fields of one entry of the list `objects`, as they are written.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::class::finding::Position;

/// The fields that an object may have.
pub(in crate::class) const FIELDS: [&str; 16] = [
    "objectName",
    "secretPath",
    "secretKey",
    "method",
    "secretArgs",
    "filePermission",
    "encoding",
    "format",
    "include",
    "exclude",
    "jsonPointer",
    "optional",
    "template",
    "leftDelimiter",
    "rightDelimiter",
    "errorOnMissingKey",
];

/// The fields of one entry, each with its position in the text.
pub(super) struct ObjectFields {
    /// The position of the first field.
    pub(super) at: Position,
    /// The value of `secretArgs`.
    pub(super) arguments: Option<(Position, Value)>,
    /// The fields with unknown names.
    pub(super) unknown: Vec<(Position, String)>,
    /// The values of the other fields, in the order of [`FIELDS`].
    values: [Option<(Position, FieldValue)>; FIELDS.len()],
}

/// The value of a field.
pub(super) enum FieldValue {
    /// A scalar, as its text.
    Text(String),
    /// A list of scalars, as their texts.
    List(Vec<String>),
}

impl ObjectFields {
    /// Returns the text of a field; an empty text counts as none, and so does a list.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            FieldValue::Text(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// Returns the value of a field.
    pub(super) fn value(&self, name: &str) -> Option<&FieldValue> {
        self.field(name).map(|(_, value)| value)
    }

    /// Returns whether a field has a value; an empty text counts as none.
    pub(super) fn is_set(&self, name: &str) -> bool {
        match name {
            "secretArgs" => self.arguments.is_some(),
            _ => self.text(name).is_some() || matches!(self.value(name), Some(FieldValue::List(_))),
        }
    }

    /// Returns where a field is, or the entry if there is no such field.
    pub(super) fn position(&self, name: &str) -> Position {
        let arguments = self.arguments.as_ref().filter(|_| name == "secretArgs");
        let field = arguments.map(|(at, _)| *at).or_else(|| self.field(name).map(|(at, _)| *at));
        field.unwrap_or(self.at)
    }

    fn field(&self, name: &str) -> Option<&(Position, FieldValue)> {
        let index = FIELDS.iter().position(|field| *field == name)?;
        self.values[index].as_ref()
    }
}

/// Reads the entries of the list.
#[derive(Clone, Copy)]
pub(super) struct ObjectsSeed<'a> {
    /// The positions of the fields `secretKey` whose values are lists.
    pub(super) lists_of_keys: &'a [Position],
}

impl<'de> DeserializeSeed<'de> for ObjectsSeed<'_> {
    type Value = Vec<ObjectFields>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ObjectsSeed<'_> {
    type Value = Vec<ObjectFields>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while let Some(object) = list.next_element_seed(ObjectSeed(self))? {
            objects.push(object);
        }
        Ok(objects)
    }
}

struct ObjectSeed<'a>(ObjectsSeed<'a>);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = ObjectFields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ObjectFields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = ObjectFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with objectName and secretPath")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectFields, A::Error> {
        let mut fields = ObjectFields {
            at: Position::NONE,
            arguments: None,
            unknown: Vec::new(),
            values: Default::default(),
        };
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let at = Position::of(name.referenced);
            if fields.at == Position::NONE {
                fields.at = at;
            }
            match FIELDS.iter().position(|field| *field == name.value) {
                Some(_) if name.value == "secretArgs" => {
                    fields.arguments = map.next_value::<Option<Value>>()?.map(|value| (at, value));
                }
                Some(index) => {
                    let is_list = match name.value.as_str() {
                        "include" | "exclude" => true,
                        "secretKey" => self.0.lists_of_keys.contains(&at),
                        _ => false,
                    };
                    let value = if is_list {
                        map.next_value::<Option<_>>()?.map(FieldValue::List)
                    } else {
                        map.next_value::<Option<_>>()?.map(FieldValue::Text)
                    };
                    fields.values[index] = value.map(|value| (at, value));
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                    fields.unknown.push((at, name.value));
                }
            }
        }
        Ok(fields)
    }
}
