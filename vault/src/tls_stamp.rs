//! Notices that files of TLS settings changed.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::tls::{Authorities, Tls};
use crate::tls_directory::files_in;
use crate::tls_file::{TlsFile, resolve};

/// What tells one state of the files that TLS settings name from another. If it differs, the files
/// must be read again.
pub(crate) type Stamp = Vec<Option<FileStamp>>;

/// What tells one state of a file from another: which file it is, its size, and when its contents
/// and its entry were last changed. A file that was replaced or overwritten within the same second
/// by one of the same size differs too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStamp {
    path: PathBuf,
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Tls {
    /// Returns the current stamp of the files, by one `stat` call for each file. `protected` are
    /// the directories whose files a class must not name.
    pub(crate) fn stamp(&self, protected: &[PathBuf]) -> Stamp {
        let mut stamps = Vec::new();
        match &self.authorities {
            Authorities::System | Authorities::Pem(_) => {}
            Authorities::File(file) => stamps.push(stamp(file, protected)),
            Authorities::Directory(directory) => {
                let files = resolve(directory, protected).ok().and_then(|path| files_in(&path).ok());
                match files {
                    Some(files) => stamps.extend(files.iter().map(|file| stamp_of(file))),
                    None => stamps.push(None),
                }
            }
        }
        if let Some(client) = &self.client {
            stamps.extend([&client.certificate, &client.key].map(|file| stamp(file, protected)));
        }
        stamps
    }
}

fn stamp(file: &TlsFile, protected: &[PathBuf]) -> Option<FileStamp> {
    stamp_of(&resolve(file, protected).ok()?)
}

fn stamp_of(path: &Path) -> Option<FileStamp> {
    let found: Metadata = fs::metadata(path).ok()?;
    Some(FileStamp {
        path: path.to_owned(),
        file: (found.dev(), found.ino()),
        size: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Stamp;
    use crate::{Authorities, Tls, TlsFile};

    fn directory(path: &Path) -> Tls {
        let file = TlsFile { path: path.to_owned(), parameter: None };
        Tls { authorities: Authorities::Directory(file), ..Tls::default() }
    }

    fn stamp(tls: &Tls) -> Stamp {
        tls.stamp(&[])
    }

    #[test]
    fn every_change_of_a_directory_is_noticed() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("sub")).expect("a directory");
        fs::write(at("sub/a"), "one").expect("a file");
        let tls = directory(root.path());
        let mut last = stamp(&tls);
        assert_eq!(stamp(&tls), last);
        let time = fs::metadata(at("sub/a")).and_then(|found| found.modified()).expect("a time");
        let changes: [(&str, &dyn Fn()); 4] = [
            ("added", &|| fs::write(at("b"), "one").expect("a file")),
            ("overwritten with the same size and time", &|| {
                fs::write(at("sub/a"), "two").expect("a file");
                let file = fs::File::options().write(true).open(at("sub/a")).expect("a file");
                file.set_modified(time).expect("a time");
            }),
            ("replaced", &|| {
                fs::write(at("sub/new"), "one").expect("a file");
                fs::rename(at("sub/new"), at("b")).expect("a file");
            }),
            ("removed", &|| fs::remove_file(at("b")).expect("a file")),
        ];
        for (what, change) in changes {
            change();
            let now = stamp(&tls);
            assert_ne!(now, last, "{what}");
            last = now;
        }
    }

    #[test]
    fn kubelets_exchange_of_a_link_is_noticed() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).expect("a directory");
            fs::write(at(version).join("ca.crt"), "one").expect("a file");
        }
        symlink("..1", at("..data")).expect("a link");
        symlink("..data/ca.crt", at("ca.crt")).expect("a link");
        let file = TlsFile { path: at("ca.crt"), parameter: None };
        let all = [directory(root.path()), Tls { authorities: Authorities::File(file), ..Tls::default() }];
        let before = all.each_ref().map(stamp);
        symlink("..2", at("..new")).expect("a link");
        fs::rename(at("..new"), at("..data")).expect("a link");
        for (tls, before) in all.iter().zip(before) {
            assert_eq!(before.len(), 1);
            assert_ne!(stamp(tls), before);
        }
    }
}
