//! Counts the memory that an input takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory that Rust code has allocated, in bytes.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// The highest value of [`LIVE`] since the last reset.
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count of the bytes.
struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn grown(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: all calls go to the system's allocator, unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How much memory an input may take at one time.
#[derive(Debug, Clone, Copy)]
pub struct MemoryBound {
    /// Bytes for each byte of the input.
    pub per_byte: usize,
    /// Bytes besides.
    pub constant: usize,
}

impl MemoryBound {
    /// Runs a function over an input.
    ///
    /// # Panics
    /// If the function takes more memory than the bound.
    pub fn check(self, data: &[u8], run: impl FnOnce(&[u8])) {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        run(data);
        let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let allowed = self.constant + self.per_byte * data.len();
        assert!(taken <= allowed, "{} bytes of input took {taken} bytes, more than {allowed}", data.len());
    }
}
