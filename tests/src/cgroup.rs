//! A memory cgroup for a process under test, of either version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where cgroups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// The names of our cgroups: this, the id of the process that made it, and a number.
const PREFIX: &str = "coffer-test-";

/// A memory cgroup without swap. Dropping the value removes it: its processes must have ended.
#[derive(Debug)]
pub struct MemoryCgroup {
    path: PathBuf,
    version: CgroupVersion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CgroupVersion {
    V1,
    V2,
}

impl MemoryCgroup {
    /// Creates a cgroup of that size.
    ///
    /// # Errors
    /// If the kernel or the rights of this process do not allow it.
    pub fn create(bytes: u64) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let (parent, version) = parent()?;
        remove_forgotten(&parent);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        let cgroup = Self { path, version };
        let limit = bytes.to_string();
        match version {
            CgroupVersion::V1 => {
                cgroup.write("memory.limit_in_bytes", &limit)?;
                // memory and swap together: a kernel without accounting of swap lacks the file
                if cgroup.has("memory.memsw.limit_in_bytes") {
                    cgroup.write("memory.memsw.limit_in_bytes", &limit)?;
                }
            }
            CgroupVersion::V2 => {
                cgroup.write("memory.max", &limit)?;
                if cgroup.has("memory.swap.max") {
                    cgroup.write("memory.swap.max", "0")?;
                }
            }
        }
        Ok(cgroup)
    }

    /// Returns why no cgroup can be made here, if so.
    pub fn forbidden() -> Option<&'static str> {
        static ANSWER: OnceLock<Option<String>> = OnceLock::new();
        let reason = |e| format!("needs a memory cgroup, so run it as root where one can be made: {e}");
        ANSWER.get_or_init(|| Self::create(64 << 20).err().map(reason)).as_deref()
    }

    /// Returns the file to which a process writes 0 to join.
    pub fn processes(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Returns how many of the cgroup's processes the kernel has killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let file = match self.version {
            CgroupVersion::V1 => "memory.oom_control",
            CgroupVersion::V2 => "memory.events",
        };
        self.field(file, "oom_kill").unwrap_or_default()
    }

    /// Returns the largest use so far in bytes, with the page cache that the kernel can drop.
    pub fn peak_bytes(&self) -> Option<u64> {
        let file = match self.version {
            CgroupVersion::V1 => "memory.max_usage_in_bytes",
            CgroupVersion::V2 => "memory.peak",
        };
        self.read(file)?.trim().parse().ok()
    }

    /// Returns the bytes in use now that the kernel cannot drop: anonymous memory and tmpfs pages.
    pub fn held_bytes(&self) -> u64 {
        let anonymous = match self.version {
            CgroupVersion::V1 => "rss",
            CgroupVersion::V2 => "anon",
        };
        let part = |field| self.field("memory.stat", field).unwrap_or_default();
        part(anonymous) + part("shmem")
    }

    fn field(&self, file: &str, name: &str) -> Option<u64> {
        let text = self.read(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    fn has(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file)).ok()
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.path.join(file), text)
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        // A process that was just reaped may still be leaving.
        for _ in 0..100 {
            match fs::remove_dir(&self.path) {
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => return,
            }
        }
        eprintln!("{} is still in use and stays", self.path.display());
    }
}

/// Returns the cgroup below which this process may make others, with its version.
fn parent() -> io::Result<(PathBuf, CgroupVersion)> {
    let (v1, v2) = (Path::new(MOUNT).join("memory"), PathBuf::from(MOUNT));
    if v1.join("memory.limit_in_bytes").exists() {
        return Ok((v1, CgroupVersion::V1));
    }
    let control = v2.join("cgroup.subtree_control");
    if !fs::read_to_string(&control)?.split_whitespace().any(|controller| controller == "memory") {
        fs::write(&control, "+memory")?;
    }
    Ok((v2, CgroupVersion::V2))
}

/// Removes the cgroups of test programs that were killed. The kernel keeps those that are in use.
fn remove_forgotten(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}
