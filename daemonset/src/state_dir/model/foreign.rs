//! What somebody else puts into the state directory.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use proptest::prelude::{Just, Strategy, prop_oneof};

/// A file that is no record, put where a record or the file of a write would be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Foreign {
    /// A file of another name.
    Notes,
    /// A link to a file elsewhere.
    Link(ForeignPlace),
    /// A named pipe, which blocks who opens it.
    Pipe(ForeignPlace),
    /// A directory with a file.
    Directory(ForeignPlace),
    /// The record without its end.
    CutRecord(u64),
    /// The record of another name.
    OtherFormat,
    /// A write that was complete but for its last step.
    Staged,
}

/// Where it is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum ForeignPlace {
    Record,
    StagedRecord,
}

pub(super) fn foreign() -> impl Strategy<Value = Foreign> {
    let place = || prop_oneof![Just(ForeignPlace::Record), Just(ForeignPlace::StagedRecord)];
    prop_oneof![
        Just(Foreign::Notes),
        place().prop_map(Foreign::Link),
        place().prop_map(Foreign::Pipe),
        place().prop_map(Foreign::Directory),
        (0..200_u64).prop_map(Foreign::CutRecord),
        Just(Foreign::OtherFormat),
        Just(Foreign::Staged),
    ]
}

impl Foreign {
    /// Puts it into the directory. Returns whether the record of this name is lost by that.
    pub(super) fn put(self, directory: &Path, name: &str, elsewhere: &Path) -> bool {
        let record = directory.join(name);
        let staged = directory.join(format!("{name}.tmp"));
        let clear = |place: ForeignPlace| {
            let path = match place {
                ForeignPlace::Record => &record,
                ForeignPlace::StagedRecord => &staged,
            };
            let _ = fs::remove_file(path);
            let _ = fs::remove_dir_all(path);
            (path, matches!(place, ForeignPlace::Record))
        };
        let is_file = fs::symlink_metadata(&record).is_ok_and(|record| record.is_file());
        match self {
            Self::CutRecord(_) | Self::Staged if !is_file => false,
            Self::Notes => {
                fs::write(directory.join("notes"), "of someone").expect("written");
                false
            }
            Self::Link(place) => {
                let (path, is_lost) = clear(place);
                symlink(elsewhere, path).expect("a link");
                is_lost
            }
            Self::Pipe(place) => {
                let (path, is_lost) = clear(place);
                mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe");
                is_lost
            }
            Self::Directory(place) => {
                let (path, is_lost) = clear(place);
                fs::create_dir(path).expect("a directory");
                fs::write(path.join("notes"), "of someone").expect("written");
                is_lost
            }
            Self::CutRecord(by) => {
                let file = OpenOptions::new().write(true).open(&record).expect("a file");
                let length = file.metadata().expect("metadata").len();
                file.set_len(length.saturating_sub(by + 1)).expect("cut");
                true
            }
            Self::OtherFormat => {
                clear(ForeignPlace::Record);
                fs::write(&record, "coffer-state 2 00\nrecord").expect("written");
                true
            }
            Self::Staged => {
                clear(ForeignPlace::StagedRecord);
                fs::copy(&record, &staged).expect("copied");
                false
            }
        }
    }
}
