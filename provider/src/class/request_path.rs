//! `secretPath`: a path in Vault, with its query.

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

/// Why a text is not a path in Vault. Each message continues a sentence that begins with what the
/// path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// There is no text.
    #[error("is empty")]
    Empty,
    /// The path has a control character, such as a line break or NUL.
    #[error("holds a control character")]
    ControlCharacter,
    /// A segment would lead to another path than the one that is written.
    #[error("has an empty, \".\" or \"..\" segment")]
    Segment,
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
    let below = trimmed.strip_prefix("v1/").unwrap_or(trimmed);
    let path = below.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/");
    check_segments(&path)?;
    let url = reqwest::Url::parse(&format!("http://host/?{query}")).map_err(|_| BadSecretPath::Query)?;
    let mut query: Vec<_> = url.query_pairs().into_owned().collect();
    query.sort();
    Ok(RequestPath { path, query })
}

/// Checks that a path has only segments that can be sent to Vault as they are.
///
/// # Errors
/// [`BadPath`], if the path or a segment is empty, or a segment is `.`, `..` or has a control
/// character.
pub(crate) fn check_segments(path: &str) -> Result<(), BadPath> {
    if path.is_empty() {
        return Err(BadPath::Empty);
    }
    if path.chars().any(char::is_control) {
        return Err(BadPath::ControlCharacter);
    }
    if path.split('/').any(|segment| matches!(segment, "." | ".." | "")) {
        return Err(BadPath::Segment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BadPath, BadSecretPath, check_segments, parse};

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
