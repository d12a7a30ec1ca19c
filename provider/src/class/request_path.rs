//! `secretPath`: a path in Vault, with its query.

use percent_encoding::percent_decode_str;

/// A path below `/v1/`, decoded, and its query parameters, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestPath {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
}

/// Parses a `secretPath`: `/v1/` is optional, `?version=3` becomes a query, `%20` a space.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn parse(text: &str) -> Result<RequestPath, String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if text.contains('#') {
        return Err("holds a \"#\": write %23".to_owned());
    }
    let trimmed = path.trim_start_matches('/');
    let below = trimmed.strip_prefix("v1/").unwrap_or(trimmed);
    let segments: Vec<String> = below
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decode_segment)
        .collect::<Result<_, _>>()?;
    let path = segments.join("/");
    check_segments(&path)?;
    let mut query: Vec<_> = reqwest::Url::parse(&format!("http://host/?{query}"))
        .map_err(|_| "has a query that cannot be read".to_owned())?
        .query_pairs()
        .into_owned()
        .collect();
    query.sort();
    Ok(RequestPath { path, query })
}

/// Checks a decoded path whose segments go to Vault as they are.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn check_segments(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("is empty".to_owned());
    }
    if path.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    if path.split('/').any(|segment| matches!(segment, "." | ".." | "")) {
        return Err("has an empty, \".\" or \"..\" segment".to_owned());
    }
    Ok(())
}

fn decode_segment(segment: &str) -> Result<String, String> {
    let bytes = segment.as_bytes();
    for (at, _) in segment.match_indices('%') {
        let hex = bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if !hex {
            return Err("holds a \"%\" that starts no escape: write %25 for the character itself".to_owned());
        }
    }
    let decoded = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| "holds an escape that is no UTF-8".to_owned())?;
    if decoded.contains('/') {
        return Err("holds an escaped slash: Vault's paths cannot".to_owned());
    }
    Ok(decoded.into_owned())
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
    fn escapes_are_decoded_once() {
        assert_eq!(path("kv/my%20app/50%25"), "kv/my app/50%");
        assert_eq!(path("kv/my app"), "kv/my app");
    }

    #[test]
    fn the_query_becomes_parameters() {
        let parsed = parse("secret/data/a?version=3&list=true&a=%26").expect("a path");
        let query: Vec<_> = parsed.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(query, [("a", "&"), ("list", "true"), ("version", "3")]);
    }

    #[test]
    fn ways_out_are_refused() {
        for text in [
            "",
            "/",
            "v1/",
            "a/../b",
            "a/%2e%2e/b",
            "a/%2E/b",
            "a%2fb",
            "a%00b",
            "a\0b",
            "a%",
            "a%zz",
            "a%ff",
            "a#b",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
