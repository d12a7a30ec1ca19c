//! Where the files of an object are in the volume: the `objectName`.

use super::file_path::{BadFilePath, FilePath};

/// The `objectName` of the volume's root.
const ROOT: &str = ".";

/// Where the files of an object are in the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The object is this file.
    File(FilePath),
    /// Each key of the object is a file in this directory.
    Directory(FilePath),
    /// Each key of the object is a file in the volume's root.
    Root,
}

impl Place {
    /// Parses the `objectName` of an object with `format: files`.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub(crate) fn parse_directory(name: &str) -> Result<Self, BadFilePath> {
        if name == ROOT { Ok(Self::Root) } else { FilePath::parse(name).map(Self::Directory) }
    }

    /// Returns the `objectName`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::File(path) | Self::Directory(path) => path.as_str(),
            Self::Root => ROOT,
        }
    }

    /// Returns the path of the file or directory; none for the root.
    #[must_use]
    pub fn path(&self) -> Option<&FilePath> {
        match self {
            Self::File(path) | Self::Directory(path) => Some(path),
            Self::Root => None,
        }
    }

    /// Returns the path of a key's file.
    ///
    /// # Errors
    /// The first rule of file names that the key breaks, or the rule of paths that the whole does.
    pub fn file_of_key(&self, key: &str) -> Result<FilePath, BadFilePath> {
        let name = FilePath::parse_element(key)?;
        match self {
            Self::File(directory) | Self::Directory(directory) => directory.join(&name),
            Self::Root => Ok(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadFilePath, Place};

    #[test]
    fn a_key_is_a_file_in_the_directory() {
        let file = |name: &str, key: &str| Place::parse_directory(name).expect(name).file_of_key(key);
        assert_eq!(file(".", "a").expect("a path").as_str(), "a");
        assert_eq!(file("d/e", "a b").expect("a path").as_str(), "d/e/a b");
        assert_eq!(Place::parse_directory("."), Ok(Place::Root));
        for (key, bad) in [
            ("", BadFilePath::Empty),
            ("a/b", BadFilePath::Slash),
            ("/", BadFilePath::Absolute),
            (".", BadFilePath::DotElement),
            ("..", BadFilePath::LeadingDots),
            ("..data", BadFilePath::LeadingDots),
            (" a", BadFilePath::OuterWhiteSpace),
            ("a\n", BadFilePath::ControlCharacter),
            (&"k".repeat(256), BadFilePath::ElementTooLong),
        ] {
            assert_eq!(file(".", key), Err(bad), "{key:?}");
            assert_eq!(file("d", key), Err(bad), "{key:?}");
        }
        assert!(file("d", &"k".repeat(255)).is_ok());
        let deep = ["e"; 2040].join("/");
        assert_eq!(file(&deep, &"k".repeat(255)), Err(BadFilePath::TooLong));
    }
}
