//! The body of an answer while it arrives: indexed as far as it has arrived, and never larger than
//! the memory that the namespace has for it.

use std::time::Duration;

use coffer_shares::Share;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::json::index::{BYTES_PER_VALUE, JsonIndex, JsonIndexer, NotIndexed};
use crate::{Failure, HeavyTurn, Secret, TargetHandle};

/// Memory of a request until more arrives, in bytes.
const START: usize = 16 << 10;

/// Size of a first buffer, in bytes. Most answers are smaller.
const FIRST_BUFFER: usize = 8 << 10;

/// Memory from which an answer is large, in bytes. Of each namespace one read at a time has large
/// answers: reads that each have a part of what all of them need would wait for each other.
const LARGE: usize = 256 << 10;

/// Maximum wait for memory.
const MEMORY_WAIT: Duration = Duration::from_secs(10);

/// Bytes after which other work gets a turn.
const PIECE: usize = 256 << 10;

/// A body that arrives.
pub(crate) struct ArrivingBody<'a> {
    target: &'a TargetHandle,
    body: Secret,
    json: Result<JsonIndexer, NotIndexed>,
    /// Body size that the server announced.
    expected: Option<usize>,
    memory: Share,
    turn: &'a HeavyTurn,
    /// Bytes since other work had a turn.
    since_turn: usize,
}

impl<'a> ArrivingBody<'a> {
    /// Takes the memory that a request needs before anything has arrived.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`], after a wait of ten seconds.
    pub(crate) async fn begin(
        target: &'a TargetHandle,
        tenant: &str,
        turn: &'a HeavyTurn,
    ) -> Result<Self, Failure> {
        let memory = in_time(target.memory.take(tenant, START, target.priority)).await?;
        Ok(Self {
            target,
            body: Secret::default(),
            json: Ok(JsonIndexer::new()),
            expected: None,
            memory,
            turn,
            since_turn: 0,
        })
    }

    /// Notes the size that the server announced.
    pub(crate) fn expect(&mut self, announced: Option<usize>) {
        self.expected = announced;
    }

    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// Returns whether the bytes so far cannot become JSON, or have too many values.
    pub(crate) fn is_not_json(&self) -> bool {
        self.json.is_err()
    }

    /// Appends bytes that arrived.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`], if the namespace's part of the memory is used up.
    pub(crate) async fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        let needed = self.body.len() + chunk.len();
        if needed > self.body.capacity() {
            let grown = needed.max(2 * self.body.capacity()).max(FIRST_BUFFER);
            let capacity = self.expected.filter(|expected| *expected >= needed).unwrap_or(grown);
            self.cover(capacity).await?;
            self.body.reserve(capacity);
        }
        self.body.push(chunk);
        if let Ok(indexer) = &mut self.json
            && let Err(reason) = indexer.advance(self.body.expose())
        {
            self.json = Err(reason);
        }
        self.cover(self.body.capacity()).await?;
        self.since_turn += chunk.len();
        if self.since_turn >= PIECE {
            self.since_turn = 0;
            yield_now().await;
        }
        Ok(())
    }

    /// Returns body, index, and the memory that both take.
    pub(crate) fn end(mut self) -> (Secret, Result<JsonIndex, NotIndexed>, Share) {
        let json = self.json.and_then(|indexer| indexer.finish(self.body.expose()));
        let values = json.as_ref().map_or(0, JsonIndex::len);
        self.memory.shrink_to(self.body.capacity() + values * BYTES_PER_VALUE);
        (self.body, json, self.memory)
    }

    /// Takes the memory for a buffer of this size and for the index.
    async fn cover(&mut self, capacity: usize) -> Result<(), Failure> {
        let values = self.json.as_ref().map_or(0, JsonIndexer::values);
        let needed = capacity + values * BYTES_PER_VALUE;
        let Some(more) = needed.checked_sub(self.memory.amount()).filter(|more| *more > 0) else {
            return Ok(());
        };
        if needed > LARGE {
            self.turn.take(&self.target.heavy_turns, self.memory.tenant()).await;
        }
        if self.memory.try_grow(more) { Ok(()) } else { in_time(self.memory.grow(more)).await }
    }
}

async fn in_time<T>(taken: impl Future<Output = Result<T, coffer_shares::NeverFits>>) -> Result<T, Failure> {
    match timeout(MEMORY_WAIT, taken).await {
        Ok(Ok(taken)) => Ok(taken),
        _ => Err(Failure::OutOfMemory),
    }
}
