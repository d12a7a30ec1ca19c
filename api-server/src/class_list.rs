//! Lists of classes, written piece by piece while the client reads them. A list takes a few KiB
//! however many classes there are.

use std::sync::Arc;

use bytes::Bytes;
use k8s_openapi::jiff::Timestamp;

use crate::accept::ObjectForm;
use crate::api::{GROUP_VERSION, LIST_KIND};
use crate::class_watch::ClassWatch;
use crate::query::Query;
use crate::respond::AnswerBody;
use crate::table;
use crate::vault_secret::{PartialMetadata, VaultSecret};
use crate::watched_class::WatchedClass;

/// Bytes of a piece, about.
const PIECE_BYTES: usize = 16 << 10;

/// Bytes from which on a list is sent in pieces.
const WHOLE_BYTES: usize = 64 << 10;

/// Classes that are looked up at once.
const CLASSES_AT_ONCE: usize = 64;

/// The pieces of a list.
pub(crate) struct ClassList {
    classes: Arc<ClassWatch>,
    /// The namespace whose classes are listed; all without one.
    namespace: Option<String>,
    query: Query,
    form: ObjectForm,
    now: Timestamp,
    /// Namespace and name of the last class that was looked at.
    last: (Box<str>, Box<str>),
    step: ListStep,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListStep {
    Begin,
    FirstItem,
    FurtherItems,
    Done,
}

impl ClassList {
    pub(crate) fn new(
        classes: Arc<ClassWatch>,
        namespace: Option<&str>,
        query: Query,
        form: ObjectForm,
    ) -> Self {
        let last = (namespace.unwrap_or_default().into(), "".into());
        let namespace = namespace.map(ToOwned::to_owned);
        Self { classes, namespace, query, form, now: Timestamp::now(), last, step: ListStep::Begin }
    }

    /// Returns the list as a body: a short one whole, with a known length, and a long one in
    /// pieces.
    pub(crate) fn into_body(mut self) -> AnswerBody {
        let mut beginning = Vec::new();
        while beginning.len() < WHOLE_BYTES {
            match self.next() {
                Some(piece) => beginning.extend(piece),
                None => return AnswerBody::from(Bytes::from(beginning)),
            }
        }
        AnswerBody::pieces(std::iter::once(Bytes::from(beginning)).chain(self))
    }

    fn begin(&self) -> String {
        let list = |version: &str, kind: &str| {
            format!(r#"{{"apiVersion":"{version}","kind":"{kind}","metadata":{{}},"items":["#)
        };
        match self.form {
            ObjectForm::Whole => list(GROUP_VERSION, LIST_KIND),
            ObjectForm::Metadata => list("meta.k8s.io/v1", "PartialObjectMetadataList"),
            ObjectForm::Table => format!(
                r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{{}},"columnDefinitions":{},"rows":["#,
                table::columns()
            ),
        }
    }

    /// Returns the next classes of the cluster; none at the end of the list.
    fn next_classes(&mut self) -> Vec<Arc<WatchedClass>> {
        let mut next = self.classes.after(&self.last.0, &self.last.1, CLASSES_AT_ONCE);
        if let Some(namespace) = &self.namespace {
            next.retain(|class| *class.namespace == **namespace);
        }
        if let Some(last) = next.last() {
            self.last = (last.namespace.clone(), last.name.clone());
        }
        next
    }

    fn write(&self, class: &WatchedClass, to: &mut Vec<u8>) {
        let written = match self.form {
            ObjectForm::Whole => serde_json::to_writer(to, &VaultSecret::without_values(class)),
            ObjectForm::Metadata => serde_json::to_writer(to, &PartialMetadata::new(class)),
            ObjectForm::Table => {
                serde_json::to_writer(to, &table::row(class, self.query.include_object, self.now))
            }
        };
        written.unwrap_or_else(|_| unreachable!("texts and numbers are written to memory"));
    }
}

impl Iterator for ClassList {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut piece = match self.step {
            ListStep::Done => return None,
            ListStep::Begin => {
                self.step = ListStep::FirstItem;
                self.begin().into_bytes()
            }
            ListStep::FirstItem | ListStep::FurtherItems => Vec::with_capacity(PIECE_BYTES),
        };
        while piece.len() < PIECE_BYTES {
            let classes = self.next_classes();
            if classes.is_empty() {
                self.step = ListStep::Done;
                piece.extend(b"]}");
                break;
            }
            for class in classes.iter().filter(|class| self.query.selects(class)) {
                if self.step == ListStep::FurtherItems {
                    piece.push(b',');
                }
                self.step = ListStep::FurtherItems;
                self.write(class, &mut piece);
            }
        }
        Some(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coffer_provider::Settings;
    use serde_json::{Value, json};

    use super::{ClassList, PIECE_BYTES};
    use crate::accept::ObjectForm;
    use crate::class_watch::ClassWatch;
    use crate::query::Query;
    use crate::watched_class::tests::object;

    async fn classes(number: usize) -> Arc<ClassWatch> {
        let classes = ClassWatch::new(vec!["vault".to_owned()], Settings::default());
        for n in 0..number {
            let mut object = object();
            object["metadata"]["name"] = format!("class-{n:04}").into();
            object["metadata"]["namespace"] = ["a", "b", "c"][n % 3].into();
            object["metadata"]["labels"] = json!({"parity": (["even", "odd"][n % 2])});
            classes.insert(serde_json::from_value(object).expect("an object")).await;
        }
        Arc::new(classes)
    }

    fn list(classes: &Arc<ClassWatch>, namespace: Option<&str>, query: &str, form: ObjectForm) -> Value {
        let query = Query::parse(query).expect("a query");
        let pieces: Vec<_> = ClassList::new(Arc::clone(classes), namespace, query, form).collect();
        assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() < 8 * PIECE_BYTES));
        serde_json::from_slice(&pieces.concat()).expect("JSON")
    }

    #[tokio::test]
    async fn every_class_is_in_the_list_once_and_in_order() {
        let classes = classes(600).await;
        for (form, kind, items) in [
            (ObjectForm::Whole, "VaultSecretList", "items"),
            (ObjectForm::Metadata, "PartialObjectMetadataList", "items"),
            (ObjectForm::Table, "Table", "rows"),
        ] {
            let all = list(&classes, None, "", form);
            assert_eq!((all["kind"].as_str(), all["metadata"].is_object()), (Some(kind), true));
            let items = all[items].as_array().expect("items");
            let metadata = |item: &Value| {
                let metadata =
                    if form == ObjectForm::Table { &item["object"]["metadata"] } else { &item["metadata"] };
                format!("{}/{}", metadata["namespace"], metadata["name"])
            };
            let names: Vec<_> = items.iter().map(metadata).collect();
            assert_eq!(names.len(), 600);
            assert!(names.is_sorted_by(|a, b| a < b));
        }
    }

    #[tokio::test]
    async fn a_short_list_has_a_known_length() {
        let classes = classes(600).await;
        for (namespace, is_known) in [(Some("none"), true), (None, false)] {
            let list = ClassList::new(Arc::clone(&classes), namespace, Query::default(), ObjectForm::Table);
            let mut body = list.into_body();
            assert_eq!(body.exact_len().is_some(), is_known);
            let pieces: Vec<_> = std::iter::from_fn(|| body.next_piece(PIECE_BYTES)).collect();
            let table: Value = serde_json::from_slice(&pieces.concat()).expect("JSON");
            assert_eq!(table["rows"].as_array().map(Vec::len), Some(if is_known { 0 } else { 600 }));
        }
    }

    #[tokio::test]
    async fn a_list_has_what_is_selected() {
        let classes = classes(600).await;
        let count = |namespace, query: &str| {
            list(&classes, namespace, query, ObjectForm::Whole)["items"].as_array().map(Vec::len)
        };
        assert_eq!(count(Some("b"), ""), Some(200));
        assert_eq!(count(Some("b"), "labelSelector=parity%3Dodd"), Some(100));
        assert_eq!(count(None, "fieldSelector=metadata.name%3Dclass-0007"), Some(1));
        assert_eq!(count(Some("none"), ""), Some(0));
        assert_eq!(count(None, "labelSelector=absent"), Some(0));
    }
}
