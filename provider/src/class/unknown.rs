//! Warnings about unknown parameters and fields, with the name that was probably intended.

/// Maximum length of a name in a warning, in characters.
const MAX_SHOWN: usize = 64;

/// Returns the warning that `unknown` is ignored, with the known name that is nearest. `what` is
/// `parameter` or `field`.
pub(super) fn warning(what: &str, unknown: &str, known: &[impl AsRef<str>]) -> String {
    let unknown: String = unknown.chars().take(MAX_SHOWN).collect();
    match nearest(&unknown, known.iter().map(AsRef::as_ref)) {
        Some(name) => format!("unknown {what} {unknown:?} is ignored: did you mean {name:?}?"),
        None => format!("unknown {what} {unknown:?} is ignored"),
    }
}

/// Returns the known name that `unknown` is probably a misspelling of.
fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&unknown, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}
