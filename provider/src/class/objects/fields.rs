//! The fields of one entry of the list `objects`, as they are written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::class::finding::Position;

/// The fields that an object may have.
pub(in crate::class) const FIELDS: [&str; 7] =
    ["objectName", "secretPath", "secretKey", "method", "secretArgs", "filePermission", "encoding"];

/// The fields of one entry, each with its position in the text.
pub(super) struct ObjectFields {
    /// The position of the first field.
    pub(super) at: Position,
    /// The value of `secretArgs`.
    pub(super) arguments: Option<(Position, Value)>,
    /// The fields with unknown names.
    pub(super) unknown: Vec<(Position, String)>,
    /// The values of the other fields, in the order of [`FIELDS`].
    texts: [Option<(Position, String)>; FIELDS.len()],
}

impl ObjectFields {
    /// Returns the text of a field; an empty text counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.field(name).map(|(_, text)| text.as_str()).filter(|text| !text.is_empty())
    }

    /// Returns where a field is, or the entry if there is no such field.
    pub(super) fn position(&self, name: &str) -> Position {
        let arguments = self.arguments.as_ref().filter(|_| name == "secretArgs");
        let field = arguments.map(|(at, _)| *at).or_else(|| self.field(name).map(|(at, _)| *at));
        field.unwrap_or(self.at)
    }

    fn field(&self, name: &str) -> Option<&(Position, String)> {
        let index = FIELDS.iter().position(|field| *field == name)?;
        self.texts[index].as_ref()
    }
}

impl<'de> Deserialize<'de> for ObjectFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = ObjectFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with objectName and secretPath")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectFields, A::Error> {
        let mut fields = ObjectFields {
            at: Position::NONE,
            arguments: None,
            unknown: Vec::new(),
            texts: Default::default(),
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
                    fields.texts[index] = map.next_value::<Option<String>>()?.map(|text| (at, text));
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
