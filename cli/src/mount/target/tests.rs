//! The contents of the directory, and of its parent, after a mount or a refusal.

use std::os::unix::fs::symlink;

use tempfile::{TempDir, tempdir};

use super::*;

fn file(path: &str, mode: i32, contents: &str) -> File {
    File { path: path.into(), mode, contents: contents.into() }
}

fn parent_and_directory() -> (TempDir, PathBuf) {
    let parent = tempdir().expect("a directory");
    let directory = parent.path().join("mount");
    (parent, directory)
}

fn mount(directory: &Path, files: &[File]) -> Result<(), String> {
    TargetDirectory::open(directory).and_then(|target| target.write(files)).map_err(|error| error.to_string())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

/// Returns the directory's files except the marker, sorted, with their contents.
fn contents(directory: &Path) -> Vec<(String, String)> {
    let files = files_in(directory).expect("a directory").into_iter();
    let mut contents: Vec<_> = files
        .filter(|file| file != Path::new(MARKER))
        .map(|file| {
            let text = fs::read_to_string(directory.join(&file)).expect("text");
            (file.display().to_string(), text)
        })
        .collect();
    contents.sort();
    contents
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(path, text)| (path.into(), text.into())).collect()
}

/// Tells whether nothing was left beside the directory.
fn is_alone(parent: &TempDir) -> bool {
    fs::read_dir(parent.path()).expect("the parent").count() == 1
}

#[test]
fn an_absent_directory_is_made_and_filled() {
    let (parent, directory) = parent_and_directory();
    mount(&directory, &[file("a", 0o640, "1"), file("deep/er/b", 0o104_400, "2")]).expect("mounted");
    assert_eq!(contents(&directory), pairs(&[("a", "1"), ("deep/er/b", "2")]));
    assert_eq!(mode(&directory.join("a")), 0o640);
    assert_eq!(mode(&directory.join("deep/er/b")), 0o400);
    for owned in [&directory, &directory.join("deep"), &directory.join("deep/er")] {
        assert_eq!(mode(owned), 0o700);
    }
    assert!(is_alone(&parent));
}

#[test]
fn an_empty_directory_is_filled() {
    let (parent, directory) = parent_and_directory();
    fs::create_dir(&directory).expect("a directory");
    mount(&directory, &[file("a", 0o600, "1")]).expect("mounted");
    assert_eq!(contents(&directory), pairs(&[("a", "1")]));
    assert!(is_alone(&parent));
}

#[test]
fn an_earlier_mount_is_replaced_whole() {
    let (parent, directory) = parent_and_directory();
    mount(&directory, &[file("a", 0o600, "1"), file("b/c", 0o400, "1")]).expect("mounted");
    mount(&directory, &[file("a/b", 0o600, "2"), file("b", 0o600, "2")]).expect("mounted again");
    assert_eq!(contents(&directory), pairs(&[("a/b", "2"), ("b", "2")]));
    assert!(is_alone(&parent));
}

#[test]
fn a_file_that_no_mount_wrote_stays() {
    let (parent, directory) = parent_and_directory();
    fs::create_dir_all(directory.join("sub")).expect("a directory");
    fs::write(directory.join("sub/mine"), "theirs").expect("a file");
    let error = mount(&directory, &[file("a", 0o600, "1")]).expect_err("foreign");
    assert!(error.contains(r#""sub/mine", which no earlier mount wrote"#), "{error}");
    assert_eq!(contents(&directory), pairs(&[("sub/mine", "theirs")]));
    assert!(is_alone(&parent));
}

#[test]
fn a_file_added_to_an_earlier_mount_stays() {
    let (_parent, directory) = parent_and_directory();
    mount(&directory, &[file("a", 0o600, "1")]).expect("mounted");
    fs::write(directory.join("mine"), "theirs").expect("a file");
    mount(&directory, &[file("a", 0o600, "2")]).expect_err("foreign");
    assert_eq!(contents(&directory), pairs(&[("a", "1"), ("mine", "theirs")]));
}

#[test]
fn a_file_added_while_the_provider_was_asked_stays() {
    let (_parent, directory) = parent_and_directory();
    mount(&directory, &[file("a", 0o600, "1")]).expect("mounted");
    let target = TargetDirectory::open(&directory).expect("ours");
    fs::write(directory.join("mine"), "theirs").expect("a file");
    target.write(&[file("a", 0o600, "2")]).expect_err("foreign");
    assert_eq!(contents(&directory), pairs(&[("a", "1"), ("mine", "theirs")]));
}

#[test]
fn nothing_is_changed_when_one_file_cannot_be_written() {
    let (parent, directory) = parent_and_directory();
    mount(&directory, &[file("a", 0o600, "1")]).expect("mounted");
    mount(&directory, &[file("a", 0o600, "2"), file("b", 0o600, "2"), file("b/c", 0o600, "2")])
        .expect_err("a file is in the way");
    mount(&directory, &[file("a", 0o600, "2"), file(MARKER, 0o600, "")]).expect_err("our marker");
    assert_eq!(contents(&directory), pairs(&[("a", "1")]));
    assert!(is_alone(&parent));
}

#[test]
fn a_link_is_followed_to_the_directory() {
    let (parent, directory) = parent_and_directory();
    fs::create_dir(&directory).expect("a directory");
    let link = parent.path().join("link");
    symlink("mount", &link).expect("a link");
    mount(&link, &[file("a", 0o600, "1")]).expect("mounted");
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
    assert_eq!(contents(&directory), pairs(&[("a", "1")]));
}

#[test]
fn a_path_that_cannot_be_a_target_is_refused() {
    let (parent, directory) = parent_and_directory();
    mount(&directory.join("deeper"), &[]).expect_err("no parent");
    fs::write(&directory, "theirs").expect("a file");
    let error = mount(&directory, &[]).expect_err("a file");
    assert!(error.ends_with("mount is no directory that can be replaced"), "{error}");
    TargetDirectory::open(Path::new("/")).expect_err("the root");
    assert!(is_alone(&parent));
}
