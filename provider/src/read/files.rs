//! Renders the files of a read, one after another, within the namespace's part of the memory.

use std::sync::Arc;
use std::time::Duration;

use coffer_shares::Share;
use coffer_vault::Answer;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::File;
use crate::class::{Class, Object};
use crate::memory::TenantMemory;
use crate::render::{Parsed, render};
use crate::request::ReadRequest;
use crate::session::Session;
use crate::version::Key;
use crate::{Error, ErrorKind};

/// Maximum wait for memory.
const MEMORY_WAIT: Duration = Duration::from_secs(10);

/// Bytes after which other work gets a turn.
const PIECE: usize = 64 << 10;

/// The files of one read.
pub(super) struct Files<'a> {
    pub(super) request: &'a ReadRequest,
    pub(super) session: &'a Session,
    pub(super) key: &'a Key,
    pub(super) memory: TenantMemory,
}

impl Files<'_> {
    /// Renders the files from the answers to the requests of the class's plan. Returns the memory
    /// that the files and the door's answer with the files take.
    ///
    /// # Errors
    /// [`Error`], for the first object that has no file, or with which the files are too large.
    pub(super) async fn render(&self, answers: &[Arc<Answer>]) -> Result<(Vec<File>, Share), Error> {
        let Class { objects, plan, .. } = &*self.request.class;
        let parsed: Vec<Parsed<'_>> = answers.iter().map(|answer| Parsed::new(answer)).collect();
        let mut files = Vec::with_capacity(objects.len());
        let mut memory = self.memory.take(0).ok_or_else(|| self.memory.used_up())?;
        let (mut bytes, mut since_turn) = (0, 0);
        for (object, n) in objects.iter().zip(&plan.request_of) {
            let file = self.file(object, &parsed[*n])?;
            bytes += file.contents.len();
            since_turn += file.contents.len();
            if bytes > self.request.max_bytes {
                return Err(too_large(bytes, self.request.max_bytes).with_object(object.file.as_str()));
            }
            self.cover(&mut memory, bytes, objects.len()).await?;
            files.push(file);
            if since_turn >= PIECE {
                since_turn = 0;
                yield_now().await;
            }
        }
        Ok((files, memory))
    }

    fn file(&self, object: &Object, parsed: &Parsed<'_>) -> Result<File, Error> {
        let rendered = render(object, parsed, &self.session.frames, self.request.max_bytes)?;
        let hashed = &rendered.contents.expose()[rendered.hashed];
        Ok(File {
            path: object.file.as_str().to_owned(),
            mode: object.mode.unwrap_or(self.request.default_mode),
            version: self.key.version(object.fingerprint.expose(), hashed),
            contents: rendered.contents,
        })
    }

    /// Takes the memory of this many bytes in files: once for the files, and once for the answer
    /// that the door encodes.
    async fn cover(&self, memory: &mut Share, bytes: usize, files: usize) -> Result<(), Error> {
        let needed = 2 * bytes + files * size_of::<File>();
        let more = needed.saturating_sub(memory.amount());
        if more == 0 || memory.try_grow(more) {
            return Ok(());
        }
        match timeout(MEMORY_WAIT, memory.grow(more)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(self.memory.used_up()),
        }
    }
}

fn too_large(bytes: usize, limit: usize) -> Error {
    let message =
        format!("the files up to this one are {bytes} bytes, more than the {limit} that may be answered");
    Error::new(ErrorKind::TooLarge, message).with_advice("Split the class, or raise the limit")
}
