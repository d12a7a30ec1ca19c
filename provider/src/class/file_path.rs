//! The path of a mounted file, below the volume.

use std::fmt;

/// A relative path that the driver accepts and that names one file and no other.
///
/// The rules are the driver's (`ValidateBasePath` and the atomic writer of its `pkg/util/fileutil`) and those that it leaves to
/// the provider: no `.`, no NUL or other control character, no white space at the ends (secret sync trims it).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePath(String);

const MAX_PATH_BYTES: usize = 4096;
const MAX_ELEMENT_BYTES: usize = 255;

impl FilePath {
    /// Parses an `objectName`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        if name.is_empty() {
            return Err("is empty");
        }
        if name.len() > MAX_PATH_BYTES {
            return Err("is longer than 4096 bytes");
        }
        if name.starts_with('/') {
            return Err("is an absolute path: it names a file below the mount");
        }
        if name.chars().any(char::is_control) {
            return Err("holds a control character");
        }
        if name.trim() != name {
            return Err("starts or ends with white space");
        }
        if name.starts_with("..") {
            return Err("starts with \"..\"");
        }
        for element in name.split('/') {
            match element {
                "" => return Err("has an empty element: no \"//\", no \"/\" at the end"),
                "." | ".." => return Err("has a \".\" or \"..\" element"),
                long if long.len() > MAX_ELEMENT_BYTES => return Err("has an element of over 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(name.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` would lie below this file, as if it were a directory.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::FilePath;

    #[test]
    fn what_the_driver_or_a_file_system_would_refuse_is_refused() {
        for name in [
            "", "/a", "..", "../a", "a/../b", "a/..", "..data", "..a/b", ".", "a/.", "./a", "a//b", "a/",
            "a\0b", "a\n", " a", "a ", "\u{a0}a",
        ] {
            assert!(FilePath::parse(name).is_err(), "{name:?}");
        }
        assert!(FilePath::parse(&"e".repeat(256)).is_err());
        assert!(FilePath::parse(&["e"; 2049].join("/")).is_err());
    }

    #[test]
    fn the_rest_is_taken() {
        for name in ["a", "a/b", ".hidden", "a..b", "a/..b", "a b", "ключ", "a/.../b"] {
            assert!(FilePath::parse(name).is_ok(), "{name:?}");
        }
        assert!(FilePath::parse(&"e".repeat(255)).is_ok());
    }

    #[test]
    fn a_file_is_above_what_would_need_it_as_a_directory() {
        let path = |name| FilePath::parse(name).expect(name);
        assert!(path("a").is_above(&path("a/b")));
        assert!(!path("a").is_above(&path("ab")));
        assert!(!path("a").is_above(&path("a")));
    }

    proptest! {
        #[test]
        fn no_accepted_path_leaves_the_volume(name in "[a./ \0]{0,12}") {
            if let Ok(path) = FilePath::parse(&name) {
                let normal = std::path::Path::new(path.as_str())
                    .components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)));
                prop_assert!(normal);
            }
        }
    }
}
