//! Makes the allocator of glibc give back memory, so that what one namespace caused for a moment is
//! not held for ever.
//!
//! By default each thread has an arena of its own, and after a large block was freed, blocks of that
//! size come from arenas that seldom shrink (`M_MMAP_THRESHOLD` and `M_ARENA_MAX` in
//! <https://man7.org/linux/man-pages/man3/mallopt.3.html>). glibc reads the settings at the start of
//! a program alone, so the program executes itself once.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Environment variables of glibc, with the values that this program runs with.
const SETTINGS: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "262144")];

/// Executes the program again with [`SETTINGS`], unless one of them is set. Returns if the system
/// refuses: the program then takes more memory.
pub(crate) fn give_back_memory() {
    if SETTINGS.iter().any(|(name, _)| env::var_os(name).is_some()) {
        return;
    }
    let mut args = env::args_os();
    let name = args.next().unwrap_or_default();
    let error = Command::new("/proc/self/exe").arg0(name).args(args).envs(SETTINGS).exec();
    tracing::debug!(%error, "the program cannot be executed again; it will take more memory");
}
