//! The query parameters of a request for objects.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::selectors::{FieldSelector, LabelSelector, SelectorError};
use crate::watched_class::WatchedClass;

/// The query of a request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) fields: FieldSelector,
    pub(crate) labels: LabelSelector,
    pub(crate) watch: bool,
    /// Sent by watch-list clients alone. Kubernetes answers 422 where it is not supported.
    pub(crate) send_initial_events: bool,
    /// What the rows of a table embed.
    pub(crate) include_object: IncludeObject,
}

/// `includeObject`: what the rows of a table embed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    #[default]
    Metadata,
    Object,
    None,
}

/// A query that cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("the query is longer than {MAX_QUERY_BYTES} bytes")]
    TooLong,
    #[error("the query is not UTF-8")]
    NotText,
    #[error("query parameter {0:?} is given twice")]
    Twice(&'static str),
    #[error("query parameter {name:?} does not take {value:?}")]
    Value { name: &'static str, value: String },
    #[error("query parameter \"continue\" was not made by this server, which answers lists whole")]
    Continue,
    #[error(transparent)]
    Selector(#[from] SelectorError),
}

impl Query {
    /// Parses a raw query. Unknown parameters are ignored, as everywhere in Kubernetes.
    ///
    /// # Errors
    /// A parameter is wrong or is given twice: kube-apiserver could have authorized the other one.
    pub(crate) fn parse(raw: &str) -> Result<Self, QueryError> {
        if raw.len() > MAX_QUERY_BYTES {
            return Err(QueryError::TooLong);
        }
        let pairs = pairs(raw)?;
        if one(&pairs, "continue")?.is_some_and(|token| !token.is_empty()) {
            return Err(QueryError::Continue);
        }
        let include_object = match one(&pairs, "includeObject")? {
            None | Some("" | "Metadata") => IncludeObject::Metadata,
            Some("Object") => IncludeObject::Object,
            Some("None") => IncludeObject::None,
            Some(value) => return Err(unknown_value("includeObject", value)),
        };
        Ok(Self {
            fields: FieldSelector::parse(one(&pairs, "fieldSelector")?.unwrap_or_default())?,
            labels: LabelSelector::parse(one(&pairs, "labelSelector")?.unwrap_or_default())?,
            watch: boolean(&pairs, "watch")?,
            send_initial_events: one(&pairs, "sendInitialEvents")?.is_some(),
            include_object,
        })
    }

    /// Returns whether the selectors select a class. One that lacks labels is selected by none of
    /// them, since it may have the label that a selector excludes.
    pub(crate) fn selects(&self, class: &WatchedClass) -> bool {
        self.fields.matches(&class.namespace, &class.name)
            && (self.labels.is_empty() || (!class.lacks_labels && self.labels.matches(&class.labels())))
    }
}

/// Bytes of a query, at most. Selectors take a multiple of it while they are used.
const MAX_QUERY_BYTES: usize = 8 << 10;

type QueryPairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

fn pairs(raw: &str) -> Result<QueryPairs<'_>, QueryError> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned());
        decoded.map(Cow::Owned).map_err(|_| QueryError::NotText)
    };
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn one<'a>(pairs: &'a QueryPairs<'_>, name: &'static str) -> Result<Option<&'a str>, QueryError> {
    let mut values = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_ref());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(QueryError::Twice(name)),
        (value, None) => Ok(value),
    }
}

/// Parses a boolean. Every value but `false` and `0` is true (`Convert_Slice_string_To_bool` of
/// apimachinery).
fn boolean(pairs: &QueryPairs<'_>, name: &'static str) -> Result<bool, QueryError> {
    Ok(one(pairs, name)?.is_some_and(|value| !matches!(value, "0") && !value.eq_ignore_ascii_case("false")))
}

fn unknown_value(name: &'static str, value: &str) -> QueryError {
    QueryError::Value { name, value: value.chars().take(40).collect() }
}

#[cfg(test)]
mod tests {
    use super::{IncludeObject, Query, QueryError};

    #[test]
    fn reads_what_kubectl_sends() {
        let query = Query::parse("fieldSelector=metadata.name%3Ddb&limit=500&includeObject=Object&x=%zz")
            .expect("a query");
        assert_eq!(query.fields.name(), Some("db"));
        assert_eq!(query.include_object, IncludeObject::Object);
        assert!(!query.watch && !query.send_initial_events);
        let watch = Query::parse("watch=true&sendInitialEvents=false").expect("a query");
        assert!(watch.watch && watch.send_initial_events);
        assert!(Query::parse("watch").expect("a query").watch);
        assert!(!Query::parse("watch=0&x").expect("a query").watch);
        assert_eq!(Query::parse(""), Ok(Query::default()));
    }

    #[test]
    fn refuses_what_could_be_read_two_ways() {
        let twice = "fieldSelector=metadata.name%3Da&fieldSelector=metadata.name%3Db";
        assert_eq!(Query::parse(twice), Err(QueryError::Twice("fieldSelector")));
        assert_eq!(Query::parse("labelSelector=a&labelSelector=b"), Err(QueryError::Twice("labelSelector")));
        assert_eq!(Query::parse("continue=abc"), Err(QueryError::Continue));
        assert_eq!(Query::parse("labelSelector=%ff"), Err(QueryError::NotText));
        assert!(Query::parse("includeObject=All").is_err());
    }
}
