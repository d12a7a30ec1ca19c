use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coffer_provider::{Secret, StateStore};
use tempfile::TempDir;

use super::{StateDir, StateDirError};

const NAME: &str = "00112233445566778899aabbccddeeff";

fn tmpfs() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs")
}

async fn open(path: &Path) -> StateDir {
    StateDir::open(path).await.expect("the directory opens")
}

fn names(directory: &StateDir) -> Vec<String> {
    directory.names().into_iter().filter(|name| directory.load(name).is_some()).collect()
}

#[tokio::test]
async fn a_record_is_loaded_after_a_restart() {
    let place = tmpfs();
    let path = place.path().join("state");
    let directory = open(&path).await;
    directory.save(NAME, &Secret::from("first")).expect("saved");
    directory.save(NAME, &Secret::from("second\nline")).expect("saved");
    drop(directory);
    let directory = open(&path).await;
    directory.save_journal(NAME, &Secret::from("path")).expect("saved");
    assert_eq!(directory.names(), [NAME]);
    let stored = directory.load(NAME).expect("a record");
    assert_eq!((stored.record, stored.journal), (Secret::from("second\nline"), Some(Secret::from("path"))));
    directory.remove_journal(NAME);
    assert!(directory.load(NAME).expect("a record").journal.is_none());
    directory.save_journal(NAME, &Secret::from("path")).expect("saved");
    directory.remove(NAME);
    assert!(names(&directory).is_empty() && fs::read_dir(&path).expect("the directory").count() == 1);
}

#[tokio::test]
async fn only_the_owner_may_read_directory_and_records() {
    let place = tmpfs();
    let path = place.path().join("state");
    fs::create_dir(&path).expect("a directory");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("kubelet's mode");
    let directory = open(&path).await;
    directory.save(NAME, &Secret::from("x")).expect("saved");
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join(NAME))), (0o700, 0o600));
}

#[tokio::test]
async fn damaged_files_are_set_aside() {
    let place = tmpfs();
    let directory = open(place.path()).await;
    let file = directory.file(NAME);
    directory.save(NAME, &Secret::from("record")).expect("saved");
    let whole = fs::read(&file).expect("the file");
    let newer = String::from_utf8_lossy(&whole).replace("coffer-state 1", "coffer-state 2");
    for damaged in [&whole[..whole.len() - 1], b"".as_slice(), b"no header", newer.as_bytes(), b"\xff\n\n"] {
        fs::write(&file, damaged).expect("written");
        assert!(names(&directory).is_empty(), "{damaged:?}");
        assert!(!file.exists() && place.path().join(format!("{NAME}.damaged")).exists());
    }
    fs::write(place.path().join("notes"), "of someone").expect("written");
    fs::write(place.path().join(format!("{NAME}.tmp")), "half").expect("written");
    assert!(names(&directory).is_empty());
    assert!(
        place.path().join("notes.damaged").exists() && !place.path().join(format!("{NAME}.tmp")).exists()
    );
}

#[tokio::test]
async fn symbolic_links_are_not_followed() {
    let place = tmpfs();
    let directory = open(place.path()).await;
    let elsewhere = tmpfs();
    let target = elsewhere.path().join("file");
    fs::write(&target, "of someone").expect("written");
    std::os::unix::fs::symlink(&target, directory.file(NAME)).expect("a link");
    assert!(names(&directory).is_empty());
    std::os::unix::fs::symlink(&target, directory.file(&format!("{NAME}.tmp"))).expect("a link");
    assert!(directory.save(NAME, &Secret::from("x")).is_err());
    assert_eq!(fs::read_to_string(&target).expect("the file"), "of someone");
}

#[tokio::test]
async fn a_directory_that_is_not_fit_for_secrets_is_refused() {
    let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory on disk");
    let path = disk.path().join("state");
    let refused = StateDir::open(&path).await.err().expect("a refusal");
    assert!(matches!(refused, StateDirError::Unfit { .. }) && refused.to_string().contains("tmpfs"));
    assert!(!path.exists(), "the created directory is removed again");

    let place = tmpfs();
    let file = place.path().join("file");
    fs::write(&file, "").expect("written");
    let link = place.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).expect("a link");
    for path in [&file, &link] {
        let refused = StateDir::open(path).await.err().expect("a refusal");
        assert!(refused.to_string().contains("no directory"), "{refused}");
    }
    let missing = StateDir::open(&place.path().join("no/such")).await.err().expect("a refusal");
    assert!(matches!(missing, StateDirError::System { .. }));
}

#[tokio::test]
async fn the_second_agent_waits_for_the_lock() {
    let place = tmpfs();
    let first = open(place.path()).await;
    let mut second = Box::pin(StateDir::open(place.path()));
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    drop(first);
    assert!(second.await.is_ok(), "the first agent released the lock");
}

#[tokio::test]
async fn what_is_deleted_is_made_anew_and_locked() {
    let place = tmpfs();
    let path = place.path().join("state");
    let directory = open(&path).await;
    assert!(!directory.check().expect("nothing is wrong"));
    let deletions: [fn(&Path) -> io::Result<()>; 3] = [
        |path| fs::remove_dir_all(path),
        |path| fs::remove_file(path.join(".lock")),
        |path| fs::set_permissions(path, PermissionsExt::from_mode(0o755)),
    ];
    for delete in deletions {
        delete(&path).expect("deleted");
        assert!(directory.check().expect("mended"));
        assert!(!directory.check().expect("nothing is wrong"));
        assert!(directory.is_held() && !directory.is_taken() && !StateDir::is_free(&path));
        directory.save(NAME, &Secret::from("x")).expect("saved");
    }
}

#[tokio::test]
async fn nothing_is_written_into_a_directory_that_is_not_the_locked_one() {
    let place = tmpfs();
    let path = place.path().join("state");
    let directory = open(&path).await;
    fs::rename(&path, place.path().join("old")).expect("renamed");
    let other = open(&path).await;
    assert!(directory.save(NAME, &Secret::from("x")).is_err());
    assert!(matches!(directory.check(), Err(StateDirError::Held(_))));
    assert!(directory.is_taken() && fs::read_dir(&path).expect("the directory").count() == 1);
    drop(other);
    assert!(directory.check().expect("mended") && directory.save(NAME, &Secret::from("x")).is_ok());
}

#[tokio::test]
async fn a_named_pipe_blocks_neither_reading_nor_writing() {
    let place = tmpfs();
    let directory = open(place.path()).await;
    let pipe = |name: &str| {
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
        nix::unistd::mkfifo(&directory.file(name), mode).expect("a pipe");
    };
    pipe(NAME);
    assert!(names(&directory).is_empty());
    pipe(&format!("{NAME}.tmp"));
    assert!(directory.save(NAME, &Secret::from("x")).is_err());
    directory.save(NAME, &Secret::from("x")).expect("the pipe is gone");
}

#[tokio::test]
async fn a_journal_goes_with_its_record() {
    let place = tmpfs();
    let directory = open(place.path()).await;
    for damage in [|path: &Path| fs::write(path, "damaged"), |path: &Path| fs::remove_file(path)] {
        directory.save(NAME, &Secret::from("x")).expect("saved");
        directory.save_journal(NAME, &Secret::from("path")).expect("saved");
        damage(&directory.file(NAME)).expect("damaged");
        assert!(names(&directory).is_empty());
        directory.save(NAME, &Secret::from("y")).expect("saved");
        assert!(directory.load(NAME).expect("a record").journal.is_none());
    }
}

#[tokio::test]
async fn a_directory_in_the_way_of_a_write_is_set_aside() {
    let place = tmpfs();
    let directory = open(place.path()).await;
    fs::create_dir(directory.file(&format!("{NAME}.tmp"))).expect("a directory");
    assert!(directory.save(NAME, &Secret::from("x")).is_err());
    assert!(names(&directory).is_empty());
    directory.save(NAME, &Secret::from("x")).expect("saved");
    // also where files and directories of that name were set aside before
    fs::write(directory.file(&format!("{NAME}.damaged")), "of someone").expect("written");
    for _ in 0..2 {
        directory.remove(NAME);
        fs::create_dir_all(directory.file(NAME).join("notes")).expect("a directory");
        assert!(names(&directory).is_empty());
        directory.save(NAME, &Secret::from("x")).expect("saved");
    }
}
