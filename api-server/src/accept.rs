//! The `Accept` header: the form of answer that a client asks for.
//!
//! Kubernetes names the form in parameters of the media type:
//! `application/json;as=Table;v=v1;g=meta.k8s.io`
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>).

use http::HeaderMap;
use http::header::ACCEPT;

/// ObjectForm of an answer with objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectForm {
    /// The objects themselves.
    Whole,
    /// A table, as kubectl prints it.
    Table,
    /// Only `metadata` of the objects.
    Metadata,
}

/// ObjectForm of the discovery document at `/apis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiscoveryForm {
    /// Groups, versions and resources in one document, `apidiscovery.k8s.io/v2`.
    Aggregated,
    /// The older document, which lists groups and versions alone.
    Legacy,
}

/// Returns the supported form that the client prefers; `None` where the client accepts none of
/// them.
pub(crate) fn object_form(headers: &HeaderMap, is_list: bool) -> Option<ObjectForm> {
    let metadata = if is_list { "PartialObjectMetadataList" } else { "PartialObjectMetadata" };
    first(headers, |clause| match clause.form() {
        Some(("", _, _)) => Some(ObjectForm::Whole),
        Some(("Table", "meta.k8s.io", "v1")) => Some(ObjectForm::Table),
        Some((kind, "meta.k8s.io", "v1")) if kind == metadata => Some(ObjectForm::Metadata),
        _ => None,
    })
}

/// Returns the supported form of the document at `/apis` that the client prefers, if any.
pub(crate) fn discovery_form(headers: &HeaderMap) -> Option<DiscoveryForm> {
    first(headers, |clause| match clause.form() {
        Some(("", _, _)) => Some(DiscoveryForm::Legacy),
        Some(("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")) => Some(DiscoveryForm::Aggregated),
        _ => None,
    })
}

/// Returns whether the client accepts plain JSON.
pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    first(headers, |clause| clause.form().filter(|(kind, _, _)| kind.is_empty()).map(|_| ())).is_some()
}

fn first<T>(headers: &HeaderMap, known: impl Fn(&AcceptClause<'_>) -> Option<T>) -> Option<T> {
    let header: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let header = header.join(",");
    if header.trim().is_empty() {
        return known(&AcceptClause { media: "application/json", parameters: Vec::new(), weight: 1000 });
    }
    let mut clauses: Vec<AcceptClause<'_>> = header.split(',').filter_map(AcceptClause::parse).collect();
    // a stable sort: of equal weights the first clause wins
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.weight));
    clauses.iter().find_map(known)
}

struct AcceptClause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// `q` in thousandths.
    weight: u32,
}

impl<'a> AcceptClause<'a> {
    /// Parses a clause; `None` where it is malformed or has weight 0.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| media.contains('/'))?;
        let parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let weight = match parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q")) {
            Some((_, weight)) => weight.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
            None => 1.0,
        };
        let weight = (weight * 1000.0) as u32;
        (weight > 0).then_some(Self { media, parameters, weight })
    }

    /// Returns the kind, group and version that the clause asks for in JSON; `None` for other media
    /// types. An empty kind stands for the object itself.
    fn form(&self) -> Option<(&'a str, &'a str, &'a str)> {
        let is_json = ["application/json", "application/*", "*/*"]
            .iter()
            .any(|known| self.media.eq_ignore_ascii_case(known));
        is_json.then(|| (self.parameter("as"), self.parameter("g"), self.parameter("v")))
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::ACCEPT;

    use super::{DiscoveryForm, ObjectForm, accepts_json, discovery_form, object_form};

    fn headers(accept: &[&'static str]) -> HeaderMap {
        accept.iter().map(|accept| (ACCEPT, http::HeaderValue::from_static(accept))).collect()
    }

    #[test]
    fn kubectls_headers_are_understood() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(object_form(&headers(&[table]), true), Some(ObjectForm::Table));
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
                        application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(object_form(&headers(&[metadata]), false), Some(ObjectForm::Metadata));
        let old = "application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json";
        assert_eq!(object_form(&headers(&[old]), false), Some(ObjectForm::Whole));
    }

    #[test]
    fn what_is_not_served_is_skipped_and_nothing_left_is_refused() {
        for (accept, form) in [
            ("", Some(ObjectForm::Whole)),
            ("*/*", Some(ObjectForm::Whole)),
            ("application/*;q=0.1", Some(ObjectForm::Whole)),
            ("application/vnd.kubernetes.protobuf", None),
            ("application/cbor, text/html", None),
            ("application/json;as=Unheard;g=meta.k8s.io;v=v1", None),
            ("application/json;q=0", None),
            ("application/json;q=high", None),
            ("nonsense", None),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", None),
            ("application/json;q=0.5,application/json;as=Table;v=v1;g=meta.k8s.io", Some(ObjectForm::Table)),
        ] {
            assert_eq!(object_form(&headers(&[accept]), false), form, "{accept}");
        }
        assert_eq!(object_form(&HeaderMap::new(), true), Some(ObjectForm::Whole));
        let two = headers(&["text/plain", "application/json"]);
        assert_eq!(object_form(&two, true), Some(ObjectForm::Whole));
    }

    #[test]
    fn discovery_in_version_2_alone() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert_eq!(discovery_form(&headers(&[v2])), Some(DiscoveryForm::Aggregated));
        assert_eq!(discovery_form(&headers(&[v2beta1])), None);
        assert_eq!(discovery_form(&headers(&[v2beta1, v2])), Some(DiscoveryForm::Aggregated));
        assert_eq!(discovery_form(&headers(&["application/json"])), Some(DiscoveryForm::Legacy));
        assert!(!accepts_json(&headers(&["application/com.github.proto-openapi.spec.v2@v1.0+protobuf"])));
        assert!(accepts_json(&headers(&["application/json;q=0.3", "text/html"])));
    }
}
