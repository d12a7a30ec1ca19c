//! Parts of an object as they come from kube-apiserver. Whatever else they hold is skipped, and
//! nothing of another form is an error: one object must not end the watch.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::api::{ALLOW_ISSUING, SERVICE_ACCOUNT};

/// Bytes of an object's labels that are kept, at most.
const MAX_LABEL_BYTES: usize = 4096;

/// Bytes of an annotation that are kept: one more than a name may have.
const MAX_ANNOTATION_BYTES: usize = 254;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeanMetadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<Time>,
    #[serde(default)]
    pub(super) labels: LeanLabels,
    #[serde(default)]
    pub(super) annotations: LeanAnnotations,
}

#[derive(Default, Deserialize)]
pub(super) struct LeanSpec {
    #[serde(default)]
    pub(super) provider: Text,
    #[serde(default)]
    pub(super) parameters: LeanParameters,
}

/// Labels up to a number of bytes.
#[derive(Default)]
pub(super) struct LeanLabels {
    pub(super) map: BTreeMap<String, String>,
    pub(super) is_cut: bool,
}

/// The annotations of this API.
#[derive(Default)]
pub(super) struct LeanAnnotations(pub(super) BTreeMap<String, String>);

/// Parameters; `None` if they are not all strings.
pub(super) struct LeanParameters(pub(super) Option<BTreeMap<String, String>>);

/// A string; `None` if it is something else.
#[derive(Default)]
pub(super) struct Text(pub(super) Option<String>);

impl Default for LeanParameters {
    fn default() -> Self {
        Self(Some(BTreeMap::new()))
    }
}

impl<'de> Deserialize<'de> for LeanLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut labels, mut bytes) = (Self::default(), 0);
        let entries = each_entry(deserializer, |name: String, value: Text| {
            let Some(value) = value.0 else { return };
            bytes += name.len() + value.len();
            if bytes <= MAX_LABEL_BYTES {
                labels.map.insert(name, value);
            } else {
                labels.is_cut = true;
            }
        });
        entries.map(|_| labels)
    }
}

impl<'de> Deserialize<'de> for LeanAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut annotations = BTreeMap::new();
        let entries = each_entry(deserializer, |name: String, value: Text| {
            if let Some(mut value) = value.0.filter(|_| name == SERVICE_ACCOUNT || name == ALLOW_ISSUING) {
                value.truncate(value.floor_char_boundary(MAX_ANNOTATION_BYTES));
                value.shrink_to_fit();
                annotations.insert(name, value);
            }
        });
        entries.map(|_| Self(annotations))
    }
}

impl<'de> Deserialize<'de> for LeanParameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut parameters, mut are_strings) = (BTreeMap::new(), true);
        let is_map = each_entry(deserializer, |name: String, value: Text| match value.0 {
            Some(value) => drop(parameters.insert(name, value)),
            None => are_strings = false,
        })?;
        Ok(Self((is_map && are_strings).then_some(parameters)))
    }
}

/// Calls `use_entry` for each entry of a map. Returns false for what is no map.
fn each_entry<'de, D: Deserializer<'de>>(
    deserializer: D,
    use_entry: impl FnMut(String, Text),
) -> Result<bool, D::Error> {
    deserializer.deserialize_any(Lenient { use_text: |_: &str| false, use_entry })
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = None;
        let use_text = |found: &str| {
            text = Some(found.to_owned());
            true
        };
        deserializer.deserialize_any(Lenient { use_text, use_entry: |_: String, _: Self| {} })?;
        Ok(Self(text))
    }
}

/// Visits a value of any form. Uses a text or the entries of a map, and skips everything else.
struct Lenient<T, E> {
    use_text: T,
    use_entry: E,
}

impl<'de, T: FnMut(&str) -> bool, E: FnMut(String, Text)> Visitor<'de> for Lenient<T, E> {
    /// Whether the value had a form that is used.
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<F: de::Error>(mut self, text: &str) -> Result<bool, F> {
        Ok((self.use_text)(text))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        while let Some((name, value)) = map.next_entry()? {
            (self.use_entry)(name, value);
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_unit<F>(self) -> Result<bool, F> {
        Ok(false)
    }

    fn visit_bool<F>(self, _: bool) -> Result<bool, F> {
        Ok(false)
    }

    fn visit_i64<F>(self, _: i64) -> Result<bool, F> {
        Ok(false)
    }

    fn visit_u64<F>(self, _: u64) -> Result<bool, F> {
        Ok(false)
    }

    fn visit_f64<F>(self, _: f64) -> Result<bool, F> {
        Ok(false)
    }
}
