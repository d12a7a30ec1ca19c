//! Values of annotations as the injector reads them, by Go's rules.

/// Reads a boolean as `parseutil.ParseBool` does. An empty text is false.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Reads the mode of a file, which is octal with and without a leading zero, and returns it with
/// four digits.
pub(super) fn parse_mode(text: &str) -> Option<String> {
    let mode = u32::from_str_radix(text.trim(), 8).ok().filter(|mode| *mode <= 0o777)?;
    Some(format!("{mode:04o}"))
}

/// Joins two paths and removes what does not count in them, as `filepath.Join` does.
pub(super) fn join_path(directory: &str, file: &str) -> String {
    let path = format!("{directory}/{file}");
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_by_go() {
        for (text, value) in [("true", Some(true)), ("T", Some(true)), ("", Some(false)), ("yes", None)] {
            assert_eq!(parse_bool(text), value, "{text}");
        }
        for (text, mode) in [("0400", Some("0400")), ("644", Some("0644")), ("0999", None), ("01777", None)] {
            assert_eq!(parse_mode(text).as_deref(), mode, "{text}");
        }
        for (directory, file, path) in [
            ("/vault/secrets", "db", "/vault/secrets/db"),
            ("/vault/secrets/", "/a//b/./c", "/vault/secrets/a/b/c"),
            ("/vault/secrets", "../x", "/vault/x"),
        ] {
            assert_eq!(join_path(directory, file), path);
        }
    }
}
