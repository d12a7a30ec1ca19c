//! The memory limit of this process, as the container runtime set it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the hierarchies of control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// A limit from which on there is none, in bytes: version 1 writes a number near 2^63 for "no
/// limit".
const NO_LIMIT: u64 = 1 << 60;

/// Returns the memory for what tenants cause, in bytes: half of the `given` limit, else of that of
/// the system for this process, or of `usual` where there is none. The other half is for the program
/// itself, for what the allocator cannot use, and for the system's buffers of connections.
#[must_use]
pub fn memory_of_tenants(given: Option<usize>, usual: usize) -> usize {
    let limit = given.or_else(|| memory_limit().and_then(|limit| usize::try_from(limit).ok()));
    limit.unwrap_or(usual) / 2
}

/// Returns the memory limit of this process's control groups, in bytes; none if there is no limit.
///
/// Of the group and those above it the lowest limit counts
/// (<https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files>).
fn memory_limit() -> Option<u64> {
    lowest_limit(Path::new(MOUNT), &fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
}

/// Returns the lowest limit of the groups in the text of `/proc/self/cgroup`. In a container the
/// group's own files are at the mount point, whatever the path says.
fn lowest_limit(mount: &Path, groups: &str) -> Option<u64> {
    let group = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (directory, file) = match controllers {
            "" => (mount.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        limit_along(&directory, path.trim_start_matches('/'), file)
    });
    group.filter(|limit| *limit < NO_LIMIT)
}

/// Returns the lowest limit of a group and those above it.
fn limit_along(root: &Path, path: &str, file: &str) -> Option<u64> {
    let mut directory: PathBuf = root.join(path);
    let mut lowest = None;
    loop {
        let limit = fs::read_to_string(directory.join(file)).ok().and_then(|text| text.trim().parse().ok());
        lowest = [lowest, limit].into_iter().flatten().min();
        if directory == root || !directory.pop() {
            return lowest;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::lowest_limit;

    #[test]
    fn the_lowest_limit_of_a_group_and_those_above_counts() {
        let mount = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, text).expect("written");
        };
        let limit = |groups: &str| lowest_limit(mount.path(), groups);
        assert_eq!(limit("0::/"), None);
        write("memory.max", "max\n");
        write("pods/memory.max", "67108864\n");
        write("pods/container/memory.max", "max\n");
        assert_eq!(limit("0::/"), None);
        assert_eq!(limit("0::/pods/container\n"), Some(64 << 20));
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit("4:cpu:/\n3:memory:/x\n0::/\n"), None);
        write("memory/x/memory.limit_in_bytes", "1000\n");
        assert_eq!(limit("4:cpu:/\n3:memory:/x\n0::/\n"), Some(1000));
        assert_eq!(limit("no groups"), None);
        // in a container the path is not there, and the mount point is the group
        write("memory/memory.limit_in_bytes", "2000");
        assert_eq!(limit("3:memory:/kubepods/pod1/2\n"), Some(2000));
    }
}
