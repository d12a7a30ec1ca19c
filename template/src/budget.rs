//! What rendering may take: steps, memory and output.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coffer_vault::Secret;

use crate::render_fault::RenderProblem;

/// The limits of one rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateBudget {
    /// Number of steps: one for each operation, and one for each 64 bytes that it reads or writes.
    pub steps: usize,
    /// Size of the file, in bytes.
    pub output: usize,
    /// Memory of the values that are in use at one time, in bytes. The answers of Vault and the
    /// file do not count.
    pub memory: usize,
}

/// Maximum size of one value that a function makes, in bytes.
pub const MAX_VALUE: usize = 1 << 20;

/// Maximum number of values in a map or list that one function goes through. It bounds the time of
/// one step.
pub const MAX_ITEMS: usize = 20_000;

/// Bytes that cost one step.
pub(crate) const BYTES_PER_STEP: usize = 64;

impl Default for TemplateBudget {
    fn default() -> Self {
        Self { steps: 1_000_000, output: 1 << 20, memory: 8 << 20 }
    }
}

/// Counts the memory of values that are in use.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    used: AtomicUsize,
    limit: usize,
}

/// Memory that is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct MeteredMemory {
    meter: Arc<MemoryMeter>,
    bytes: usize,
}

impl MemoryMeter {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// Takes memory.
    ///
    /// # Errors
    /// [`RenderProblem::Memory`].
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Result<MeteredMemory, RenderProblem> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let memory = MeteredMemory { meter: Arc::clone(self), bytes };
        if used > self.limit { Err(RenderProblem::Memory(self.limit)) } else { Ok(memory) }
    }
}

impl Drop for MeteredMemory {
    fn drop(&mut self) {
        self.meter.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A text that grows within the limits.
pub(crate) struct Sink {
    bytes: Secret,
    memory: MeteredMemory,
    limit: usize,
    too_long: fn(usize) -> RenderProblem,
    /// How many values were written.
    items: usize,
    /// The bytes that were read to write this, besides those that were written.
    read: usize,
}

impl Sink {
    /// Returns an empty text of a value.
    pub(crate) fn value(meter: &Arc<MemoryMeter>) -> Result<Self, RenderProblem> {
        Self::new(meter, MAX_VALUE, RenderProblem::ValueSize)
    }

    /// Returns the empty file.
    pub(crate) fn output(limit: usize) -> Result<Self, RenderProblem> {
        Self::new(&MemoryMeter::new(usize::MAX / 2), limit, RenderProblem::Output)
    }

    fn new(
        meter: &Arc<MemoryMeter>,
        limit: usize,
        too_long: fn(usize) -> RenderProblem,
    ) -> Result<Self, RenderProblem> {
        Ok(Self { bytes: Secret::default(), memory: meter.take(0)?, limit, too_long, items: 0, read: 0 })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// If the text would be too long, or memory is used up.
    pub(crate) fn push(&mut self, more: &[u8]) -> Result<(), RenderProblem> {
        self.grow(more.len())?;
        self.bytes.push(more);
        Ok(())
    }

    /// Appends the same byte several times.
    ///
    /// # Errors
    /// Those of [`Self::push`].
    pub(crate) fn fill(&mut self, byte: u8, count: usize) -> Result<(), RenderProblem> {
        self.grow(count)?;
        let block = [byte; 64];
        let mut left = count;
        while left > 0 {
            let length = left.min(block.len());
            self.bytes.push(&block[..length]);
            left -= length;
        }
        Ok(())
    }

    /// Makes room for so many bytes.
    fn grow(&mut self, more: usize) -> Result<(), RenderProblem> {
        let needed = self.bytes.len().saturating_add(more);
        if needed > self.limit {
            return Err((self.too_long)(self.limit));
        }
        if needed > self.bytes.capacity() {
            let capacity = needed.max(2 * self.bytes.capacity()).max(32);
            let memory = self.memory.meter.take(capacity)?;
            self.bytes.reserve(capacity);
            self.memory = memory;
        }
        Ok(())
    }

    /// Counts a value that is written.
    ///
    /// # Errors
    /// [`RenderProblem::TooManyItems`].
    pub(crate) fn count_item(&mut self) -> Result<(), RenderProblem> {
        self.items += 1;
        if self.items > MAX_ITEMS { Err(RenderProblem::TooManyItems) } else { Ok(()) }
    }

    /// Returns an empty text whose memory counts where that of this one does.
    pub(crate) fn sibling(&self) -> Result<Self, RenderProblem> {
        Self::value(&self.memory.meter)
    }

    /// Counts values anew, for the next action that writes to the file.
    pub(crate) fn begin_items(&mut self) {
        self.items = 0;
    }

    /// Counts bytes that were read.
    pub(crate) fn count_read(&mut self, bytes: usize) {
        self.read += bytes;
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the bytes so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.expose()
    }

    /// Returns how many steps the text took.
    pub(crate) fn steps(&self) -> usize {
        self.items + (self.bytes.len() + self.read) / BYTES_PER_STEP
    }

    /// Returns the bytes, and the memory that they take.
    pub(crate) fn into_parts(self) -> (Secret, MeteredMemory) {
        (self.bytes, self.memory)
    }
}
