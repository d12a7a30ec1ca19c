//! Classes by namespace and name, up to a number of bytes. Above it the namespace that takes most
//! is dropped: lists of it are refused, and its classes can still be read by name.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::watched_class::WatchedClass;

/// Bytes of all classes, at most: about 40,000 of them.
const MAX_BYTES: usize = 24 << 20;

/// Classes of the cluster.
#[derive(Default)]
pub(crate) struct ClassMap {
    namespaces: BTreeMap<Box<str>, NamespaceClasses>,
    bytes: usize,
    /// Number of the current list of kube-apiserver.
    list: u32,
}

#[derive(Default)]
struct NamespaceClasses {
    classes: BTreeMap<Box<str>, ListedClass>,
    bytes: usize,
    /// The list in which the namespace was dropped, until a later one is complete.
    dropped: Option<u32>,
}

struct ListedClass {
    class: Arc<WatchedClass>,
    /// The list in which the class was seen last.
    list: u32,
}

/// What is known of a name.
#[derive(Debug)]
pub(crate) enum KnownClass {
    /// There is this class.
    Class(Arc<WatchedClass>),
    /// There is no such class.
    None,
    /// The namespace was dropped.
    Dropped,
}

impl ClassMap {
    /// Begins a list. What is not inserted until [`Self::end_list`] is gone then.
    pub(crate) fn begin_list(&mut self) {
        self.list = self.list.wrapping_add(1);
    }

    /// Ends a list.
    pub(crate) fn end_list(&mut self) {
        let Self { namespaces, bytes, list } = self;
        namespaces.retain(|_, namespace| {
            let gone = namespace.classes.extract_if(.., |_, listed| listed.list != *list);
            let freed: usize = gone.map(|(_, listed)| listed.class.bytes()).sum();
            namespace.bytes -= freed;
            *bytes -= freed;
            namespace.dropped = namespace.dropped.filter(|dropped| dropped == list);
            namespace.dropped.is_some() || !namespace.classes.is_empty()
        });
    }

    /// Inserts a class, or replaces it.
    pub(crate) fn insert(&mut self, class: Arc<WatchedClass>) {
        self.remove(&class.namespace, &class.name);
        let namespace = self.namespaces.entry(class.namespace.clone()).or_default();
        if namespace.dropped == Some(self.list) {
            return;
        }
        namespace.bytes += class.bytes();
        self.bytes += class.bytes();
        namespace.classes.insert(class.name.clone(), ListedClass { class, list: self.list });
        while self.bytes > MAX_BYTES && self.drop_largest() {}
    }

    pub(crate) fn remove(&mut self, namespace: &str, name: &str) {
        let Some(classes) = self.namespaces.get_mut(namespace) else { return };
        let Some(removed) = classes.classes.remove(name) else { return };
        classes.bytes -= removed.class.bytes();
        self.bytes -= removed.class.bytes();
        if classes.classes.is_empty() && classes.dropped.is_none() {
            self.namespaces.remove(namespace);
        }
    }

    pub(crate) fn class(&self, namespace: &str, name: &str) -> KnownClass {
        match self.namespaces.get(namespace) {
            Some(classes) if classes.dropped.is_some() => KnownClass::Dropped,
            Some(classes) => {
                let listed = classes.classes.get(name);
                listed.map_or(KnownClass::None, |listed| KnownClass::Class(Arc::clone(&listed.class)))
            }
            None => KnownClass::None,
        }
    }

    /// Returns up to `most` classes that follow a place in the order of namespaces and names. Those
    /// of dropped namespaces are missing.
    pub(crate) fn after(&self, namespace: &str, name: &str, most: usize) -> Vec<Arc<WatchedClass>> {
        let own = self.namespaces.get(namespace).filter(|classes| classes.dropped.is_none()).into_iter();
        let own = own
            .flat_map(|classes| classes.classes.range::<str, _>((Bound::Excluded(name), Bound::Unbounded)));
        let further = self.namespaces.range::<str, _>((Bound::Excluded(namespace), Bound::Unbounded));
        let further = further.filter(|(_, classes)| classes.dropped.is_none());
        let further = further.flat_map(|(_, classes)| &classes.classes);
        own.chain(further).take(most).map(|(_, listed)| Arc::clone(&listed.class)).collect()
    }

    /// Returns the dropped namespaces.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().filter(|(_, classes)| classes.dropped.is_some()).map(|(name, _)| &**name)
    }

    fn drop_largest(&mut self) -> bool {
        let Some((name, largest)) = self.namespaces.iter_mut().max_by_key(|(_, classes)| classes.bytes)
        else {
            return false;
        };
        if largest.bytes == 0 {
            return false;
        }
        tracing::warn!(
            namespace = &**name,
            classes = largest.classes.len(),
            "the namespace has too many SecretProviderClasses: lists of it are refused"
        );
        self.bytes -= largest.bytes;
        *largest = NamespaceClasses { dropped: Some(self.list), ..NamespaceClasses::default() };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ClassMap, KnownClass, MAX_BYTES};
    use crate::watched_class::WatchedClass;
    use crate::watched_class::tests::{object, watched};

    fn class(namespace: &str, name: &str) -> Arc<WatchedClass> {
        let mut object = object();
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["name"] = name.into();
        Arc::new(watched(&object).expect("a class"))
    }

    fn names(map: &ClassMap) -> Vec<String> {
        let all = map.after("", "", usize::MAX);
        all.iter().map(|class| format!("{}/{}", class.namespace, class.name)).collect()
    }

    #[test]
    fn classes_are_in_the_order_of_their_names_from_any_place() {
        let mut map = ClassMap::default();
        for (namespace, name) in [("b", "x"), ("a", "z"), ("a", "y"), ("c", "x"), ("a", "y")] {
            map.insert(class(namespace, name));
        }
        assert_eq!(names(&map), ["a/y", "a/z", "b/x", "c/x"]);
        let after = |namespace, name| {
            let classes = map.after(namespace, name, 2);
            classes.iter().map(|class| format!("{}/{}", class.namespace, class.name)).collect::<Vec<_>>()
        };
        assert_eq!(after("a", "y"), ["a/z", "b/x"]);
        assert_eq!(after("a", "yy"), ["a/z", "b/x"]);
        assert_eq!(after("aa", ""), ["b/x", "c/x"]);
        assert_eq!(after("c", "x"), [""; 0]);
    }

    #[test]
    fn what_a_list_does_not_have_is_gone_at_its_end() {
        let mut map = ClassMap::default();
        map.insert(class("a", "old"));
        map.insert(class("b", "old"));
        map.begin_list();
        map.insert(class("a", "new"));
        assert_eq!(names(&map), ["a/new", "a/old", "b/old"]);
        map.end_list();
        assert_eq!(names(&map), ["a/new"]);
        map.remove("a", "new");
        map.remove("a", "new");
        assert_eq!((map.bytes, map.namespaces.len()), (0, 0));
    }

    #[test]
    fn the_namespace_that_takes_most_is_dropped_and_comes_back_with_a_list() {
        let mut map = ClassMap::default();
        map.insert(class("victim", "x"));
        let one = class("many", "0");
        for n in 0..=MAX_BYTES >> 20 {
            let large = Arc::into_inner(class("many", &n.to_string())).expect("one");
            map.insert(Arc::new(WatchedClass { summary: Err("x".repeat(1 << 20).into()), ..large }));
        }
        assert!(matches!(map.class("many", "0"), KnownClass::Dropped));
        assert!(matches!(map.class("victim", "x"), KnownClass::Class(_)));
        assert_eq!(names(&map), ["victim/x"]);
        assert_eq!(map.dropped().collect::<Vec<_>>(), ["many"]);
        map.remove("many", "0");
        assert!(matches!(map.class("many", "unheard-of"), KnownClass::Dropped));
        map.begin_list();
        map.insert(one);
        assert!(matches!(map.class("many", "0"), KnownClass::Dropped), "the list is not complete");
        assert_eq!(names(&map), ["victim/x"]);
        map.insert(class("victim", "x"));
        map.end_list();
        assert_eq!(names(&map), ["many/0", "victim/x"]);
    }
}
