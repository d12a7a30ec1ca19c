//! The path of a mounted file, relative to the volume.

use std::fmt;

/// A relative path that the driver accepts and that names exactly one file.
///
/// The rules are the driver's (`ValidateBasePath` and the atomic writer of its `pkg/util/fileutil`)
/// and those that the driver leaves to the provider: no `.`, no control character such as NUL, no
/// white space at the ends (the driver's secret sync trims names).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePath(String);

/// Why a text is not the path of a mounted file. Each message continues a sentence that begins with
/// the name of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFilePath {
    /// There is no text.
    #[error("is empty")]
    Empty,
    /// The path is longer than Linux allows.
    #[error("is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// The path begins with `/`.
    #[error("is an absolute path: it names a file below the mount")]
    Absolute,
    /// The path has a control character, such as a line break or NUL.
    #[error("holds a control character")]
    ControlCharacter,
    /// The path begins or ends with white space.
    #[error("starts or ends with white space")]
    OuterWhiteSpace,
    /// The path begins with `..`, which the driver reserves for its own directories.
    #[error("starts with \"..\"")]
    LeadingDots,
    /// The path has nothing between two slashes, or a slash at its end.
    #[error("has an empty element: no \"//\", no \"/\" at the end")]
    EmptyElement,
    /// The name of a single file has a slash.
    #[error("has a \"/\"")]
    Slash,
    /// A directory or the file is named `.` or `..`.
    #[error("has a \".\" or \"..\" element")]
    DotElement,
    /// The name of a directory or of the file is longer than Linux allows.
    #[error("has an element of over {MAX_ELEMENT_BYTES} bytes")]
    ElementTooLong,
}

const MAX_PATH_BYTES: usize = 4096;
const MAX_ELEMENT_BYTES: usize = 255;

impl FilePath {
    /// Parses an `objectName`.
    ///
    /// ```
    /// use coffer_provider::class::{BadFilePath, FilePath};
    ///
    /// let path = FilePath::parse("db/password")?;
    /// assert_eq!(path.as_str(), "db/password");
    /// assert_eq!(FilePath::parse("/db/password"), Err(BadFilePath::Absolute));
    /// # Ok::<(), BadFilePath>(())
    /// ```
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn parse(name: &str) -> Result<Self, BadFilePath> {
        if name.is_empty() {
            return Err(BadFilePath::Empty);
        }
        if name.len() > MAX_PATH_BYTES {
            return Err(BadFilePath::TooLong);
        }
        if name.starts_with('/') {
            return Err(BadFilePath::Absolute);
        }
        if name.chars().any(char::is_control) {
            return Err(BadFilePath::ControlCharacter);
        }
        if name.trim() != name {
            return Err(BadFilePath::OuterWhiteSpace);
        }
        if name.starts_with("..") {
            return Err(BadFilePath::LeadingDots);
        }
        name.split('/').try_for_each(check_element)?;
        Ok(Self(name.to_owned()))
    }

    /// Parses the name of one file, without directories.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub(crate) fn parse_element(name: &str) -> Result<Self, BadFilePath> {
        let path = Self::parse(name)?;
        if name.contains('/') { Err(BadFilePath::Slash) } else { Ok(path) }
    }

    /// Returns the path of a file in this directory.
    ///
    /// # Errors
    /// [`BadFilePath::TooLong`].
    pub(crate) fn join(&self, file: &Self) -> Result<Self, BadFilePath> {
        let path = format!("{self}/{file}");
        if path.len() > MAX_PATH_BYTES { Err(BadFilePath::TooLong) } else { Ok(Self(path)) }
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `other` can exist only if this path is a directory.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn check_element(element: &str) -> Result<(), BadFilePath> {
    match element {
        "" => Err(BadFilePath::EmptyElement),
        "." | ".." => Err(BadFilePath::DotElement),
        long if long.len() > MAX_ELEMENT_BYTES => Err(BadFilePath::ElementTooLong),
        _ => Ok(()),
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

    use super::{BadFilePath, FilePath};

    #[test]
    fn a_name_that_the_driver_or_a_file_system_would_refuse_is_refused() {
        use BadFilePath::*;
        let (long_element, long_path) = ("e".repeat(256), ["e"; 2049].join("/"));
        for (name, bad) in [
            ("", Empty),
            ("/a", Absolute),
            ("..", LeadingDots),
            ("../a", LeadingDots),
            ("..data", LeadingDots),
            ("..a/b", LeadingDots),
            ("a/../b", DotElement),
            ("a/..", DotElement),
            (".", DotElement),
            ("a/.", DotElement),
            ("./a", DotElement),
            ("a//b", EmptyElement),
            ("a/", EmptyElement),
            ("a\0b", ControlCharacter),
            ("a\n", ControlCharacter),
            (" a", OuterWhiteSpace),
            ("a ", OuterWhiteSpace),
            ("\u{a0}a", OuterWhiteSpace),
            (&long_element, ElementTooLong),
            (&long_path, TooLong),
        ] {
            assert_eq!(FilePath::parse(name), Err(bad), "{name:?}");
        }
        assert_eq!(TooLong.to_string(), "is longer than 4096 bytes");
        assert_eq!(ElementTooLong.to_string(), "has an element of over 255 bytes");
    }

    #[test]
    fn every_other_name_is_accepted() {
        for name in ["a", "a/b", ".hidden", "a..b", "a/..b", "a b", "ключ", "a/.../b"] {
            assert!(FilePath::parse(name).is_ok(), "{name:?}");
        }
        assert!(FilePath::parse(&"e".repeat(255)).is_ok());
    }

    #[test]
    fn a_path_is_above_paths_that_need_it_as_a_directory() {
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
