//! Parsed classes, up to a number of bytes. Each is used as long as its object has the same
//! version.

use std::collections::HashMap;

use crate::watched_class::{ParsedClass, WatchedClass};

/// Bytes of all parsed classes, at most.
const MAX_BYTES: usize = 4 << 20;

/// Bytes of one parsed class, at most. A larger one is parsed for each read.
const MAX_CLASS_BYTES: usize = MAX_BYTES / 8;

/// Parsed classes by the uid of their object.
#[derive(Default)]
pub(crate) struct ParsedClasses {
    classes: HashMap<Box<str>, KeptClass>,
    bytes: usize,
    uses: u64,
}

struct KeptClass {
    namespace: Box<str>,
    resource_version: Box<str>,
    parsed: ParsedClass,
    bytes: usize,
    used: u64,
}

impl ParsedClasses {
    /// Returns the parsed parameters of a class in exactly this version.
    pub(crate) fn get(&mut self, class: &WatchedClass) -> Option<ParsedClass> {
        self.uses += 1;
        let kept = self.classes.get_mut(&class.uid)?;
        if kept.resource_version != class.resource_version {
            return None;
        }
        kept.used = self.uses;
        Some(kept.parsed.clone())
    }

    /// Keeps a class if there is room.
    pub(crate) fn keep_if_room(&mut self, class: &WatchedClass, parsed: &ParsedClass, text_bytes: usize) {
        self.remove(&class.uid);
        if self.bytes + parsed_bytes(text_bytes) <= MAX_BYTES {
            self.insert(class, parsed, text_bytes);
        }
    }

    /// Keeps a class. Others make room: of the namespace that has most, the one that was not used
    /// for the longest time.
    pub(crate) fn keep(&mut self, class: &WatchedClass, parsed: &ParsedClass, text_bytes: usize) {
        self.remove(&class.uid);
        if self.insert(class, parsed, text_bytes) {
            while self.bytes > MAX_BYTES && self.remove_one() {}
        }
    }

    pub(crate) fn remove(&mut self, uid: &str) {
        if let Some(removed) = self.classes.remove(uid) {
            self.bytes -= removed.bytes;
        }
    }

    fn insert(&mut self, class: &WatchedClass, parsed: &ParsedClass, text_bytes: usize) -> bool {
        let bytes = parsed_bytes(text_bytes);
        if bytes > MAX_CLASS_BYTES {
            return false;
        }
        self.uses += 1;
        self.bytes += bytes;
        let kept = KeptClass {
            namespace: class.namespace.clone(),
            resource_version: class.resource_version.clone(),
            parsed: parsed.clone(),
            bytes,
            used: self.uses,
        };
        self.classes.insert(class.uid.clone(), kept);
        true
    }

    fn remove_one(&mut self) -> bool {
        let mut by_namespace: HashMap<&str, usize> = HashMap::new();
        for kept in self.classes.values() {
            *by_namespace.entry(&kept.namespace).or_default() += kept.bytes;
        }
        let Some((most, _)) = by_namespace.into_iter().max_by_key(|(_, bytes)| *bytes) else { return false };
        let oldest = self
            .classes
            .iter()
            .filter(|(_, kept)| &*kept.namespace == most)
            .min_by_key(|(_, kept)| kept.used);
        let Some(uid) = oldest.map(|(uid, _)| uid.clone()) else { return false };
        self.remove(&uid);
        true
    }
}

/// Returns about how many bytes parameters take when they are parsed: 5.8 KB for ten objects in 0.9
/// KB of text.
fn parsed_bytes(text: usize) -> usize {
    1024 + 7 * text
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, MAX_CLASS_BYTES, ParsedClasses, parsed_bytes};
    use crate::watched_class::ReadClass;
    use crate::watched_class::tests::{object, read};

    fn class(namespace: &str, uid: &str, version: &str) -> ReadClass {
        let mut object = object();
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["uid"] = uid.into();
        object["metadata"]["resourceVersion"] = version.into();
        read(&object).expect("a class")
    }

    #[test]
    fn a_class_is_found_in_its_own_version_alone() {
        let mut classes = ParsedClasses::default();
        let first = class("ns", "1", "7");
        classes.keep(&first.watched, &first.parsed, first.text_bytes);
        assert!(classes.get(&first.watched).is_some());
        assert!(classes.get(&class("ns", "1", "8").watched).is_none());
        assert!(classes.get(&class("ns", "2", "7").watched).is_none());
        classes.keep(&first.watched, &first.parsed, MAX_CLASS_BYTES);
        assert!(classes.get(&first.watched).is_none(), "it is too large now");
        assert_eq!(classes.bytes, 0);
    }

    #[test]
    fn a_namespace_with_many_classes_makes_room_by_its_own() {
        let mut classes = ParsedClasses::default();
        let victim = class("victim", "v", "1");
        classes.keep(&victim.watched, &victim.parsed, victim.text_bytes);
        let text = 20_000;
        let fits = MAX_BYTES / parsed_bytes(text);
        for n in 0..2 * fits {
            let other = class("many", &n.to_string(), "1");
            classes.keep(&other.watched, &other.parsed, text);
            assert!(classes.bytes <= MAX_BYTES);
            assert!(classes.get(&other.watched).is_some());
        }
        assert!(classes.get(&victim.watched).is_some());
        assert!(classes.get(&class("many", "0", "1").watched).is_none());
        let late = class("late", "l", "1");
        classes.keep_if_room(&late.watched, &late.parsed, text);
        assert!(classes.get(&late.watched).is_none(), "there was no room");
    }
}
