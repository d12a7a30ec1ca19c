//! The `Accept` header: which form of an answer a client can read.
//!
//! Kubernetes puts the form into parameters of the media type: `application/json;as=Table;v=v1;g=meta.k8s.io`
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>).

use http::HeaderMap;
use http::header::ACCEPT;

/// How a resource is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object itself.
    Whole,
    /// Rows for people.
    Table,
    /// `metadata` alone.
    Metadata,
}

/// How a discovery document is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// Everything in one document, `apidiscovery.k8s.io/v2`.
    Aggregated,
    /// The document of old.
    Legacy,
}

/// The form that the client likes best among those that exist; nothing where it takes none.
pub(crate) fn resource_form(headers: &HeaderMap, is_list: bool) -> Option<Form> {
    let metadata = if is_list { "PartialObjectMetadataList" } else { "PartialObjectMetadata" };
    first(headers, |clause| match clause.form() {
        Some(("", _, _)) => Some(Form::Whole),
        Some(("Table", "meta.k8s.io", "v1")) => Some(Form::Table),
        Some((kind, "meta.k8s.io", "v1")) if kind == metadata => Some(Form::Metadata),
        _ => None,
    })
}

/// The same for the group list at `/apis`.
pub(crate) fn discovery_form(headers: &HeaderMap) -> Option<Discovery> {
    first(headers, |clause| match clause.form() {
        Some(("", _, _)) => Some(Discovery::Legacy),
        Some(("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")) => Some(Discovery::Aggregated),
        _ => None,
    })
}

/// Whether plain JSON is among what the client takes.
pub(crate) fn takes_json(headers: &HeaderMap) -> bool {
    first(headers, |clause| clause.form().filter(|(kind, _, _)| kind.is_empty()).map(|_| ())).is_some()
}

fn first<T>(headers: &HeaderMap, known: impl Fn(&Clause<'_>) -> Option<T>) -> Option<T> {
    let header: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let header = header.join(",");
    if header.trim().is_empty() {
        return known(&Clause { media: "application/json", parameters: Vec::new(), weight: 1000 });
    }
    let mut clauses: Vec<Clause<'_>> = header.split(',').filter_map(Clause::parse).collect();
    // a stable sort: of equal weights the first one counts
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.weight));
    clauses.iter().find_map(known)
}

struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// `q` in thousandths.
    weight: u32,
}

impl<'a> Clause<'a> {
    /// A clause; one that is malformed or weighs nothing is none.
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

    /// Kind, group and version that are asked for in JSON, the kind empty where it is the object itself.
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

    use super::{Discovery, Form, discovery_form, resource_form, takes_json};

    fn headers(accept: &[&'static str]) -> HeaderMap {
        accept.iter().map(|accept| (ACCEPT, http::HeaderValue::from_static(accept))).collect()
    }

    #[test]
    fn kubectls_headers_are_understood() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(resource_form(&headers(&[table]), true), Some(Form::Table));
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
                        application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(resource_form(&headers(&[metadata]), false), Some(Form::Metadata));
        let old = "application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json";
        assert_eq!(resource_form(&headers(&[old]), false), Some(Form::Whole));
    }

    #[test]
    fn what_is_not_served_is_skipped_and_nothing_left_is_refused() {
        for (accept, form) in [
            ("", Some(Form::Whole)),
            ("*/*", Some(Form::Whole)),
            ("application/*;q=0.1", Some(Form::Whole)),
            ("application/vnd.kubernetes.protobuf", None),
            ("application/cbor, text/html", None),
            ("application/json;as=Unheard;g=meta.k8s.io;v=v1", None),
            ("application/json;q=0", None),
            ("application/json;q=high", None),
            ("nonsense", None),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", None),
            ("application/json;q=0.5,application/json;as=Table;v=v1;g=meta.k8s.io", Some(Form::Table)),
        ] {
            assert_eq!(resource_form(&headers(&[accept]), false), form, "{accept}");
        }
        assert_eq!(resource_form(&HeaderMap::new(), true), Some(Form::Whole));
        let two = headers(&["text/plain", "application/json"]);
        assert_eq!(resource_form(&two, true), Some(Form::Whole));
    }

    #[test]
    fn discovery_in_version_2_alone() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert_eq!(discovery_form(&headers(&[v2])), Some(Discovery::Aggregated));
        assert_eq!(discovery_form(&headers(&[v2beta1])), None);
        assert_eq!(discovery_form(&headers(&[v2beta1, v2])), Some(Discovery::Aggregated));
        assert_eq!(discovery_form(&headers(&["application/json"])), Some(Discovery::Legacy));
        assert!(!takes_json(&headers(&["application/com.github.proto-openapi.spec.v2@v1.0+protobuf"])));
        assert!(takes_json(&headers(&["application/json;q=0.3", "text/html"])));
    }
}
