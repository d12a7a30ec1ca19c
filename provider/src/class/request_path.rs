//! `secretPath`: a path in Vault, with its query.

use coffer_vault::check_segments;

/// A path below `/v1/`, as text, and its query parameters, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestPath {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
}

/// Parses a `secretPath`: `/v1/` is optional, `?version=3` becomes a query. All else is meant literally, a `%` too, as with
/// the incumbent: escapes are made when the request is.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn parse(text: &str) -> Result<RequestPath, String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let trimmed = path.trim_start_matches('/');
    let below = trimmed.strip_prefix("v1/").unwrap_or(trimmed);
    let path = below.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/");
    check_segments(&path).map_err(|bad| bad.to_string())?;
    let url = reqwest::Url::parse(&format!("http://host/?{query}"));
    let url = url.map_err(|_| "has a query that cannot be read".to_owned())?;
    let mut query: Vec<_> = url.query_pairs().into_owned().collect();
    query.sort();
    Ok(RequestPath { path, query })
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn path(text: &str) -> String {
        parse(text).expect(text).path
    }

    #[test]
    fn v1_and_outer_slashes_are_optional() {
        for text in
            ["secret/data/a", "/secret/data/a", "v1/secret/data/a", "/v1/secret/data/a", "secret//data/a/"]
        {
            assert_eq!(path(text), "secret/data/a", "{text}");
        }
        assert_eq!(path("kv/v1/a"), "kv/v1/a");
    }

    #[test]
    fn the_path_is_meant_literally() {
        for text in ["kv/my%20app/50%", "kv/my app", "kv/a#b", "kv/%zz"] {
            assert_eq!(path(text), text);
        }
    }

    #[test]
    fn the_query_becomes_parameters() {
        let parsed = parse("secret/data/a?version=3&list=true&a=%26").expect("a path");
        let query: Vec<_> = parsed.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(query, [("a", "&"), ("list", "true"), ("version", "3")]);
    }

    #[test]
    fn ways_out_are_refused() {
        for text in ["", "/", "v1/", "a/../b", "../a", "a/./b", "a\0b", "a\nb"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
