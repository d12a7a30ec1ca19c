//! Renders the files of a read within the namespace's part of the memory.

use std::sync::Arc;
use std::time::Duration;

use coffer_shares::Share;
use coffer_vault::{Answer, HeavyTurn, HeavyTurns};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::File;
use crate::class::{Class, Object};
use crate::memory::TenantMemory;
use crate::render::{Parsed, render};
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
    pub(super) answers: Vec<Arc<Answer>>,
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
        let files = if self.is_heavy() {
            turn.take(turns, memory.namespace()).await;
            let fault = |_| Error::new(ErrorKind::Internal, "a fault while files were written");
            spawn_blocking(move || self.files()).await.map_err(fault)??
        } else {
            self.files()?
        };
        let contents: usize = files.iter().map(|file| file.contents.len()).sum();
        let bytes = COPIES * contents + files.len() * size_of::<File>();
        match timeout(MEMORY_WAIT, memory.wait_for(bytes)).await {
            Ok(Ok(held)) => Ok((files, held)),
            _ => Err(memory.used_up()),
        }
    }

    /// Returns whether the answers are large, or the files will be.
    fn is_heavy(&self) -> bool {
        let answers: usize = self.answers.iter().map(|answer| answer.bytes()).sum();
        answers > HEAVY || {
            let parsed = self.parsed();
            self.objects().map(|(object, n)| parsed[n].length(object)).sum::<usize>() > HEAVY
        }
    }

    fn files(&self) -> Result<Vec<File>, Error> {
        let parsed = self.parsed();
        let mut files = Vec::with_capacity(self.class.objects.len());
        let mut bytes = 0;
        for (object, n) in self.objects() {
            let file = self.file(object, &parsed[n])?;
            bytes += file.contents.len();
            if bytes > self.max_bytes {
                return Err(too_large(bytes, self.max_bytes).with_object(object.file.as_str()));
            }
            files.push(file);
        }
        Ok(files)
    }

    fn file(&self, object: &Object, parsed: &Parsed<'_>) -> Result<File, Error> {
        let rendered = render(object, parsed, &self.session.frames, self.max_bytes)?;
        Ok(File {
            path: object.file.as_str().to_owned(),
            mode: object.mode.unwrap_or(self.default_mode),
            version: self.key.version(object.fingerprint.expose(), rendered.hashed()),
            contents: rendered.contents,
        })
    }

    /// Returns each object with the index of its answer.
    fn objects(&self) -> impl Iterator<Item = (&Object, usize)> {
        self.class.objects.iter().zip(self.class.plan.request_of.iter().copied())
    }

    fn parsed(&self) -> Vec<Parsed<'_>> {
        self.answers.iter().map(|answer| Parsed::new(answer)).collect()
    }
}

fn too_large(bytes: usize, limit: usize) -> Error {
    let message =
        format!("the files up to this one are {bytes} bytes, more than the {limit} that may be answered");
    Error::new(ErrorKind::TooLarge, message).with_advice("Split the class, or raise the limit")
}
