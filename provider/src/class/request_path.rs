//! `secretPath`: a path in Vault, with its query.

use coffer_vault::{BadPath, check_segments};

/// A path below `/v1/`, not URL-encoded, and its query parameters, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestPath {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
}

/// Why a text is not a `secretPath`. Each message continues a sentence that begins with the name of
/// the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSecretPath {
    #[error(transparent)]
    Path(#[from] BadPath),
    #[error("has a query that cannot be read")]
    Query,
}

/// Parses a `secretPath`: `/v1/` is optional, and `?version=3` becomes a query parameter. Every
/// other character stands for itself, `%` too, as with the incumbent: the path is URL-encoded when
/// the request is made.
///
/// # Errors
/// [`BadSecretPath`], if the path has a segment that may not be sent or the query cannot be read.
pub(super) fn parse(text: &str) -> Result<RequestPath, BadSecretPath> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let trimmed = path.trim_start_matches('/');
    let path = checked(trimmed.strip_prefix("v1/").unwrap_or(trimmed))?;
    let url = url::Url::parse(&format!("http://host/?{query}")).map_err(|_| BadSecretPath::Query)?;
    let mut query: Vec<_> = url.query_pairs().into_owned().collect();
    query.sort();
    Ok(RequestPath { path, query })
}

/// Returns a path below `/v1/` without empty segments.
///
/// # Errors
/// [`BadPath`], if the path has a segment that may not be sent.
pub(super) fn checked(path: &str) -> Result<String, BadPath> {
    let path = path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/");
    check_segments(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use coffer_vault::{BadPath, check_segments};

    use super::{BadSecretPath, parse};

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
    fn every_character_of_the_path_stands_for_itself() {
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
    fn a_path_that_could_lead_elsewhere_is_refused() {
        for (text, bad) in [
            ("", BadPath::Empty),
            ("/", BadPath::Empty),
            ("v1/", BadPath::Empty),
            ("a/../b", BadPath::Segment),
            ("../a", BadPath::Segment),
            ("a/./b", BadPath::Segment),
            ("a\0b", BadPath::ControlCharacter),
            ("a\nb", BadPath::ControlCharacter),
        ] {
            assert_eq!(parse(text), Err(BadSecretPath::Path(bad)), "{text:?}");
        }
        assert_eq!(check_segments("a//b"), Err(BadPath::Segment));
    }
}
