//! Renders the files of a read within the namespace's part of the memory.

use std::sync::Arc;
use std::time::Duration;

use coffer_shares::Share;
use coffer_vault::{HeavyTurn, HeavyTurns};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::File;
use crate::class::{Class, Object};
use crate::fetch::Fetched;
use crate::memory::TenantMemory;
use crate::render::{
    FilesBudget, MAX_FILES, Parsed, RenderContext, Rendered, TemplateSteps, length, render, too_many_files,
};
use crate::session::Session;
use crate::version::Key;
use crate::{Error, ErrorKind};

/// Maximum wait for memory.
const MEMORY_WAIT: Duration = Duration::from_secs(10);

/// Bytes of answers or files from which rendering takes some milliseconds. It then needs the
/// namespace's heavy turn, and is done beside the event loop.
const HEAVY: usize = 256 << 10;

/// How often the contents of files are in memory until the door has sent them: as files, in the
/// door's answer, and in a buffer that grows.
const COPIES: usize = 3;

/// What the files of one read are rendered from.
pub(super) struct Files {
    pub(super) class: Arc<Class>,
    /// The answers to the requests of the class's plan.
    pub(super) answers: Vec<Fetched>,
    pub(super) session: Arc<Session>,
    pub(super) key: Arc<Key>,
    pub(super) default_mode: u32,
    pub(super) max_bytes: usize,
}

impl Files {
    /// Renders the files. Returns with them the memory that they and the door's answer take.
    ///
    /// # Errors
    /// [`Error`], for the first object that has no file, or with which the files are too large; and
    /// if the namespace's part of the memory is used up.
    pub(super) async fn render(
        self,
        memory: &TenantMemory,
        turn: &HeavyTurn,
        turns: &HeavyTurns,
    ) -> Result<(Vec<File>, Share), Error> {
        let light = if self.is_heavy() { None } else { self.files(TemplateSteps::Few)? };
        let files = match light {
            Some(files) => files,
            None => {
                turn.take(turns, memory.namespace()).await;
                let fault = |_| Error::new(ErrorKind::Internal, "a fault while files were written");
                let all = spawn_blocking(move || self.files(TemplateSteps::All)).await.map_err(fault)?;
                all?.ok_or_else(too_many_steps)?
            }
        };
        let contents: usize = files.iter().map(|file| file.contents.len() + file.path.len()).sum();
        let bytes = COPIES * contents + files.len() * size_of::<File>();
        match timeout(MEMORY_WAIT, memory.wait_for(bytes)).await {
            Ok(Ok(held)) => Ok((files, held)),
            _ => Err(memory.used_up()),
        }
    }

    /// Returns whether the answers are large, or the files will be.
    fn is_heavy(&self) -> bool {
        let answers: usize =
            self.answers.iter().filter_map(Fetched::answer).map(|answer| answer.bytes()).sum();
        answers > HEAVY || {
            let parsed = self.parsed();
            self.present(&parsed).map(|(object, answers)| length(object, &answers)).sum::<usize>() > HEAVY
        }
    }

    /// Returns the files; none if their templates take more than these steps.
    fn files(&self, template_steps: TemplateSteps) -> Result<Option<Vec<File>>, Error> {
        let parsed = self.parsed();
        let budget = FilesBudget::new(self.max_bytes, template_steps);
        let context = RenderContext { frames: &self.session.frames, budget: &budget, limit: self.max_bytes };
        let mut files = Vec::with_capacity(self.class.objects.len());
        let mut bytes = 0;
        for (object, answers) in self.present(&parsed) {
            let rendered = render(object, &answers, &context);
            if budget.template_steps() == 0 {
                return Ok(None);
            }
            let rendered = rendered?;
            if files.len() + rendered.len() > MAX_FILES {
                return Err(too_many_files(files.len() + rendered.len()).with_object(object.name()));
            }
            for rendered in rendered {
                // a path is the ID of a version, too
                let paths = if object.is_directory() { 2 * rendered.path.len() } else { 0 };
                bytes += rendered.contents.len() + paths;
                if bytes > self.max_bytes {
                    return Err(too_large(bytes, self.max_bytes).with_object(object.name()));
                }
                files.push(self.file(object, rendered));
            }
        }
        if self.class.objects.iter().any(Object::is_directory) {
            check_paths(files.iter().map(|file| file.path.as_str()))?;
        }
        Ok(Some(files))
    }

    fn file(&self, object: &Object, rendered: Rendered) -> File {
        let (fingerprint, hashed) = (object.fingerprint.expose(), rendered.hashed());
        let version = if object.is_directory() {
            self.key.version_of_key_file(fingerprint, &rendered.path, hashed)
        } else {
            self.key.version(fingerprint, hashed)
        };
        File {
            path: rendered.path,
            mode: object.mode.unwrap_or(self.default_mode),
            version,
            contents: rendered.contents,
        }
    }

    /// Returns each object with its answers. Objects of which one is absent are left out.
    fn present<'a>(
        &'a self,
        parsed: &'a [Option<Parsed<'a>>],
    ) -> impl Iterator<Item = (&'a Object, Vec<&'a Parsed<'a>>)> {
        let objects = self.class.objects.iter().zip(&self.class.plan.requests_of);
        objects.filter_map(|(object, requests)| {
            let answers = requests.iter().map(|n| parsed[*n].as_ref()).collect::<Option<_>>()?;
            Some((object, answers))
        })
    }

    /// Returns the answers, prepared; none for what is absent.
    fn parsed(&self) -> Vec<Option<Parsed<'_>>> {
        self.answers.iter().map(|answer| answer.answer().map(Parsed::new)).collect()
    }
}

fn too_many_steps() -> Error {
    Error::new(ErrorKind::TooLarge, "the templates take too many steps")
        .with_advice("Write simpler templates, or split the class")
}

fn too_large(bytes: usize, limit: usize) -> Error {
    let message =
        format!("the files up to this one are {bytes} bytes, more than the {limit} that may be answered");
    Error::new(ErrorKind::TooLarge, message).with_advice("Split the class, or raise the limit")
}

/// Why the files of a class cannot be in one volume.
#[derive(Debug, thiserror::Error)]
pub(super) enum PathCollision {
    #[error("two objects would make the file {0:?}")]
    SameFile(String),
    #[error("{file:?} would be a file, and {below:?} needs it as a directory")]
    NoDirectory { file: String, below: String },
}

impl PathCollision {
    /// Returns the path of the file that is in the way.
    pub(super) fn file(&self) -> &str {
        match self {
            Self::SameFile(file) | Self::NoDirectory { file, .. } => file,
        }
    }
}

impl From<PathCollision> for Error {
    fn from(collision: PathCollision) -> Self {
        Self::new(ErrorKind::BadAnswer, collision.to_string())
            .with_advice("Rename an object, or leave the key out with exclude")
    }
}

/// Refuses two files with one path, and a file in whose place another one needs a directory.
///
/// # Errors
/// The first [`PathCollision`].
pub(super) fn check_paths<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), PathCollision> {
    let mut paths: Vec<&str> = paths.collect();
    paths.sort_unstable();
    if let Some(pair) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(PathCollision::SameFile(pair[0].to_owned()));
    }
    for path in &paths {
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(file) = above.find(|above| paths.binary_search(above).is_ok()) {
            return Err(PathCollision::NoDirectory { file: file.to_owned(), below: (*path).to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_paths;

    #[test]
    fn two_files_need_two_paths_and_no_file_is_a_directory() {
        let refused = |paths: &[&str]| check_paths(paths.iter().copied()).map_err(|bad| bad.to_string());
        for paths in [&["a", "b"][..], &["a/b", "a/c", "ab"], &["a", "a.b", "a-b/c"], &["é", "e\u{301}"], &[]]
        {
            assert_eq!(refused(paths), Ok(()), "{paths:?}");
        }
        for paths in [["b", "a", "b"], ["d/a", "c", "d/a"]] {
            let said = refused(&paths).expect_err("one path twice");
            assert_eq!(said, format!("two objects would make the file {:?}", paths[0]));
        }
        for paths in [["a/b", "a", "z"], ["a", "a-b", "a/b/c"], ["a/b", "a/b/c", "a.b"]] {
            let said = refused(&paths).expect_err("a file in a file's place");
            assert!(said.contains("needs it as a directory"), "{said}");
        }
    }
}
