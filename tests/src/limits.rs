//! The limits under which the shipped manifests, and most nodes, run the programs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::cgroup::MemoryCgroup;

/// Open files of a process, at most: what most systems give.
const DESCRIPTORS: u32 = 1024;

/// Limits of a process: a memory cgroup without swap, 1,024 descriptors and one core.
#[derive(Clone, Debug)]
pub struct ProcessLimits {
    cgroup: Arc<MemoryCgroup>,
}

impl ProcessLimits {
    /// Returns the limits with that much memory, as `resources.limits.memory` of `deploy/` says.
    ///
    /// # Panics
    /// If no cgroup can be made: see [`MemoryCgroup::forbidden`].
    pub fn memory(mebibytes: u64) -> Self {
        let cgroup = MemoryCgroup::create(mebibytes << 20).expect("a memory cgroup");
        Self { cgroup: Arc::new(cgroup) }
    }

    /// Returns the cgroup.
    pub fn cgroup(&self) -> &MemoryCgroup {
        &self.cgroup
    }

    /// Returns a command that runs a program within the limits, as the process that it starts.
    pub fn command(&self, program: &Path) -> Command {
        const ENTER: &str = r#"echo 0 > "$1" && ulimit -n "$2" && shift 2 && exec taskset -c "$@""#;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", ENTER, "sh"]).arg(self.cgroup.processes()).arg(DESCRIPTORS.to_string());
        command.arg(first_core()).arg(program);
        command
    }
}

/// Returns the first core that this process may use.
fn first_core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0");
    cores.trim().split(['-', ',']).next().unwrap_or("0").to_owned()
}
