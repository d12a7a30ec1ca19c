//! What a parser found, and whether it is what was written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::sample::Sample;

/// A value as a parser found it.
#[derive(Debug)]
pub(crate) enum FoundValue {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl FoundValue {
    /// Returns whether this is the value of a sample. A number may be found as a text where
    /// `is_text` says so of its digits.
    pub(crate) fn is(&self, sample: &Sample, is_text: fn(&str) -> bool) -> bool {
        match (self, sample) {
            (Self::Null, Sample::Null) => true,
            (Self::Bool(found), Sample::Bool(value)) => found == value,
            (Self::Integer(found), Sample::Number(digits)) => is_number(&found.to_string(), digits),
            (Self::Float(found), Sample::Number(digits)) => digits.parse() == Ok(*found),
            (Self::Text(found), Sample::Number(digits)) => is_text(found) && is_number(found, digits),
            (Self::Text(found), Sample::Text(text)) => found == text,
            (Self::List(found), Sample::List(items)) => {
                found.len() == items.len()
                    && found.iter().zip(items).all(|(found, item)| found.is(item, is_text))
            }
            (Self::Map(found), Sample::Map(members)) => {
                found.len() == members.len()
                    && found
                        .iter()
                        .zip(members)
                        .all(|((name, found), (key, value))| name == key && found.is(value, is_text))
            }
            _ => false,
        }
    }
}

/// Returns whether a file or variable with that text has the value of a sample: a text as it is,
/// any other value as JSON.
pub(crate) fn is_text_of(found: &str, sample: &Sample) -> bool {
    match sample {
        Sample::Text(text) => found == text,
        Sample::Number(digits) => is_number(found, digits),
        other => serde_json::from_str::<FoundValue>(found).is_ok_and(|found| found.is(other, |_| false)),
    }
}

/// Returns whether two texts are the same JSON number. The KV engine itself keeps numbers as
/// floating point, so that its digits may be others than those that were written.
fn is_number(found: &str, written: &str) -> bool {
    let number = |text: &str| serde_json::from_str::<f64>(text).ok();
    number(found).is_some() && number(found) == number(written)
}

impl<'de> Deserialize<'de> for FoundValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoundVisitor)
    }
}

struct FoundVisitor;

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = FoundValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<FoundValue, E> {
        Ok(FoundValue::Null)
    }

    fn visit_none<E>(self) -> Result<FoundValue, E> {
        Ok(FoundValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<FoundValue, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<FoundValue, E> {
        Ok(FoundValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<FoundValue, E> {
        Ok(FoundValue::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<FoundValue, E> {
        Ok(FoundValue::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<FoundValue, E> {
        Ok(FoundValue::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<FoundValue, E> {
        Ok(FoundValue::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<FoundValue, E> {
        Ok(FoundValue::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FoundValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(FoundValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FoundValue, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<String, FoundValue>()? {
            members.push(member);
        }
        Ok(FoundValue::Map(members))
    }
}
