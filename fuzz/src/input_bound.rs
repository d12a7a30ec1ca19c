//! Bounds the memory and the time that an input takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time of the processor that an input may take. Inputs have at most 8 KiB. It is not the time of
/// day, so that a busy machine changes nothing.
const MAX_TIME: Duration = Duration::from_secs(2);

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

/// How much memory an input may take at one time. Besides, no input may take over two
/// seconds of a processor.
#[derive(Debug, Clone, Copy)]
pub struct InputBound {
    /// Bytes for each byte of the input.
    pub per_byte: usize,
    /// Bytes besides.
    pub constant: usize,
}

impl InputBound {
    /// Runs a function over an input.
    ///
    /// # Panics
    /// If the function takes more memory or time than the bound.
    pub fn check(self, data: &[u8], run: impl FnOnce(&[u8])) {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let began = processor_time();
        run(data);
        let time = processor_time().saturating_sub(began);
        assert!(time <= MAX_TIME, "{} bytes of input took {time:?}", data.len());
        let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let allowed = self.constant + self.per_byte * data.len();
        assert!(taken <= allowed, "{} bytes of input took {taken} bytes, more than {allowed}", data.len());
    }
}

/// Returns the time that this process has had of processors.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
