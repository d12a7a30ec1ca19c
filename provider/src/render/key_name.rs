//! How messages name keys of a secret.

/// Longest part of a key in a message, in characters.
const MAX_SHOWN: usize = 64;

/// Returns a key in quotes, shortened.
pub(super) fn shown(key: &str) -> String {
    match key.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}…", &key[..end]),
        None => format!("{key:?}"),
    }
}

/// Returns the advice for a key that the format cannot take.
pub(super) fn leave_out(key: &str) -> String {
    format!("Rename it in Vault, or leave it out: exclude: [\"{}\"]", pattern(key))
}

/// Returns a pattern for a key, as it stands in double quotes in YAML: one that matches the key
/// alone, or all keys with the same beginning if the key is long.
fn pattern(key: &str) -> String {
    let mut pattern = String::new();
    for (n, c) in key.chars().enumerate() {
        match c {
            _ if n == MAX_SHOWN => {
                pattern.push('*');
                break;
            }
            '*' | '?' | '[' => pattern.extend(['[', c, ']']),
            '"' | '\\' => pattern.extend(['\\', c]),
            c if c.is_control() => pattern += &format!("\\u{:04x}", u32::from(c)),
            c => pattern.push(c),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::{leave_out, pattern, shown};
    use crate::glob::Glob;

    #[test]
    fn a_long_key_is_shortened() {
        let long = "é".repeat(4 << 20);
        assert_eq!(shown("a\n"), "\"a\\n\"");
        assert_eq!(shown(&long).chars().count(), 64 + 3);
        assert!(leave_out(&long).len() < 200);
        assert!(Glob::parse(&pattern(&long)).expect("a pattern").matches(&long));
    }

    #[test]
    fn the_pattern_matches_the_key() {
        for key in ["", "a/b", "*", "a[b", "[x]", "?", "\"\\", "\u{7f}\n\u{85}", "ключ"] {
            let yaml = format!("\"{}\"", pattern(key));
            let text: String = serde_saphyr::from_str(&yaml).expect(key);
            let glob = Glob::parse(&text).expect(key);
            assert!(glob.matches(key), "{key:?}: {yaml}");
            assert!(!glob.matches("other") && !glob.matches("b"), "{key:?}: {yaml}");
        }
    }
}
