//! The fuzz target of `secretPath`.

use super::request_path::parse;

/// Returns the path and the query of a `secretPath`.
///
/// # Panics
/// If the path could lead elsewhere than it says.
#[must_use]
pub fn secret_path(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let parsed = parse(text).ok()?;
    let again = parse(&parsed.path.replace('?', ""));
    assert!(parsed.path.split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{text:?}");
    assert!(!parsed.path.contains('?') && again.is_ok(), "{text:?}");
    assert!(parsed.query.is_sorted());
    Some((parsed.path, parsed.query))
}
