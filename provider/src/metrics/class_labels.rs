//! The labels `namespace` and `class`, whose values tenants choose, and what becomes of those for
//! which there is no room.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};

/// The value of both labels for everything that has no series of its own. No object of Kubernetes
/// has this name.
const OTHER: &str = "_other";

/// Maximum length of a namespace's name, in bytes.
const MAX_NAMESPACE: usize = 63;

/// Maximum length of a class's name, in bytes.
const MAX_CLASS: usize = 253;

/// Namespace and class of a series, with further labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassLabels<W> {
    namespace: Arc<str>,
    class: Arc<str>,
    more: W,
}

impl<W> ClassLabels<W> {
    /// Returns the labels of a class; `_other` for both where a name is none that Kubernetes gives.
    /// The class is empty for what belongs to no class.
    pub fn new(namespace: &str, class: &str, more: W) -> Self {
        if !is_name(namespace, MAX_NAMESPACE) || !(class.is_empty() || is_name(class, MAX_CLASS)) {
            return Self::other(more);
        }
        Self { namespace: Arc::from(namespace), class: Arc::from(class), more }
    }

    /// Returns the labels of everything that has no series of its own.
    pub(super) fn other(more: W) -> Self {
        Self { namespace: Arc::from(OTHER), class: Arc::from(OTHER), more }
    }

    pub(super) fn is_other(&self) -> bool {
        &*self.namespace == OTHER
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn into_other(self) -> Self {
        Self::other(self.more)
    }
}

impl<W: EncodeLabelSet> EncodeLabelSet for ClassLabels<W> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("namespace", &*self.namespace), ("class", &*self.class)].encode(encoder)?;
        self.more.encode(encoder)
    }
}

/// Returns the values with at most `most` series of their own; all others are merged under
/// `_other`. Each namespace gets its first series before any gets its second, and so on, so that
/// none takes the place of another.
pub fn capped<W: Ord, V>(
    values: BTreeMap<ClassLabels<W>, V>,
    most: usize,
    merge: impl Fn(V, V) -> V,
) -> BTreeMap<ClassLabels<W>, V> {
    let mut ranked = Vec::with_capacity(values.len());
    let mut rank = 0;
    let mut last: Option<Arc<str>> = None;
    // the map's order has each namespace in one piece
    for (labels, value) in values {
        rank = if last.as_ref() == Some(&labels.namespace) { rank + 1 } else { 0 };
        last = Some(Arc::clone(&labels.namespace));
        ranked.push((rank, labels, value));
    }
    ranked.sort_by_key(|(rank, ..)| *rank);
    let mut capped = BTreeMap::new();
    let mut own = 0;
    for (_, labels, value) in ranked {
        let labels = if own < most || labels.is_other() { labels } else { labels.into_other() };
        own += usize::from(!labels.is_other());
        let value = match capped.remove(&labels) {
            Some(before) => merge(before, value),
            None => value,
        };
        capped.insert(labels, value);
    }
    capped
}

/// Returns whether a text consists of what names of Kubernetes' objects consist of.
fn is_name(text: &str, max: usize) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.len() <= max && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ClassLabels, capped};

    #[test]
    fn names_that_kubernetes_does_not_give_are_no_labels() {
        for (namespace, class) in [("shop", "db"), ("shop", ""), ("a-1", "db.v2-x"), ("n", &"c".repeat(253))]
        {
            assert!(!ClassLabels::new(namespace, class, ()).is_other(), "{namespace} {class}");
        }
        let (long, longer) = ("n".repeat(64), "c".repeat(254));
        for (namespace, class) in [
            ("", "db"),
            ("shop", "d\"b"),
            ("shop", "d\nb"),
            ("shop", "_other"),
            ("_other", "db"),
            ("Shop", "db"),
            ("shop", "\u{e9}"),
            (&long, "db"),
            ("shop", &longer),
        ] {
            assert!(ClassLabels::new(namespace, class, ()).is_other(), "{namespace} {class}");
        }
    }

    #[test]
    fn a_namespace_with_thousands_of_classes_takes_no_others_series() {
        let mut values: BTreeMap<_, _> =
            (0..10_000).map(|n| (ClassLabels::new("a-hostile-one", &format!("c{n}"), ()), 1)).collect();
        values.extend((0..40).map(|n| (ClassLabels::new(&format!("team-{n}"), "db", ()), 1)));
        let series = capped(values, 100, |a, b| a + b);
        assert_eq!(series.len(), 101);
        assert_eq!(series.get(&ClassLabels::other(())), Some(&(10_000 - 60)));
        for n in 0..40 {
            assert!(series.contains_key(&ClassLabels::new(&format!("team-{n}"), "db", ())), "{n}");
        }
        assert_eq!(series.values().sum::<i32>(), 10_040);
    }

    #[test]
    fn without_series_all_is_under_other() {
        let values =
            [("a", 3), ("b", 7)].map(|(namespace, value)| (ClassLabels::new(namespace, "c", ()), value));
        let series = capped(values.into(), 0, i32::max);
        assert_eq!(series, [(ClassLabels::other(()), 7)].into());
    }
}
