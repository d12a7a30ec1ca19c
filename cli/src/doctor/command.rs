//! Commands for a shell.

use serde_json::Value;

/// Joins the words of a command line, and quotes those that a shell would not take as they are.
pub(super) fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Returns the command that merges a patch into an object. `object` is `KIND/NAME`.
pub(super) fn merge_patch(object: &str, namespace: Option<&str>, patch: &Value) -> String {
    patch_of_type("merge", object, namespace, patch)
}

/// Returns the command that applies a list of JSON patch operations to an object.
pub(super) fn json_patch(object: &str, namespace: Option<&str>, patch: &Value) -> String {
    patch_of_type("json", object, namespace, patch)
}

fn patch_of_type(kind: &str, object: &str, namespace: Option<&str>, patch: &Value) -> String {
    let (kind, patch) = (format!("--type={kind}"), patch.to_string());
    let mut words = vec!["kubectl", "patch", object];
    words.extend(namespace.into_iter().flat_map(|namespace| ["--namespace", namespace]));
    words.extend([kind.as_str(), "--patch", &patch]);
    command(words)
}

/// Names some things: the first of them, and how many more there are.
pub(super) fn named<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        left => format!("{} and {left} more", shown.join(", ")),
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{command, named};

    #[test]
    fn a_shell_takes_the_words_as_they_are() {
        let words = ["kubectl", "-o=name", "a b", "", "$(reboot)", "it's", "x;y"];
        assert_eq!(command(words), r"kubectl -o=name 'a b' '' '$(reboot)' 'it'\''s' 'x;y'");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(named(&["a", "b"]), "a, b");
        assert_eq!(named(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }
}
