//! The agent of the model: this test program, started anew with one test alone.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use coffer_provider::{Secret, StateStore};
use nix::sys::ptrace;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, gettid};

use super::{Action, ActionKind, LifeEnd, NAMES, text};
use crate::state_dir::StateDir;

/// Names the directory, the number of the life, its actions and its end, in JSON.
const TASK: &str = "COFFER_STATE_MODEL";

/// What the agent told before it ended: for each action that it finished, whether that succeeded.
#[derive(Debug)]
pub(super) struct AgentProgress {
    pub(super) told: Vec<bool>,
}

/// Runs an agent to its end.
pub(super) fn run_agent(path: &Path, life: usize, actions: &[Action], end: LifeEnd) -> AgentProgress {
    let task = serde_json::to_string(&(path, life, actions, end)).expect("JSON");
    let mut agent = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "state_dir::model::agent::the_agent_itself", "--ignored", "--nocapture"])
        .env(TASK, task)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("an agent");
    let mut lines = BufReader::new(agent.stdout.take().expect("its output"));
    let thread = loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("its output") > 0, "the agent did not start");
        if let Some((_, thread)) = line.split_once("ready ") {
            break Pid::from_raw(thread.trim().parse().expect("a number"));
        }
    };
    match end {
        LifeEnd::KilledAtCall(call) => kill_at(&mut agent, thread, call),
        _ => release(&mut agent),
    }
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("its output");
    // the kill may have reaped it
    let _ = agent.wait();
    let told = rest.lines().filter_map(|line| line.strip_prefix("done ")).map(|ok| ok == "true").collect();
    AgentProgress { told }
}

/// Lets the agent begin.
fn release(agent: &mut Child) {
    agent.stdin.take().expect("its input").write_all(b"\n").expect("written");
}

/// Lets the agent begin, and kills it at the stop of this number: there are two for each system
/// call of its thread, before and after.
fn kill_at(agent: &mut Child, thread: Pid, stop: usize) {
    let wait = || waitpid(thread, Some(WaitPidFlag::__WALL)).expect("the agent's state");
    ptrace::attach(thread).expect("the agent can be traced");
    wait();
    release(agent);
    for _ in 0..stop {
        ptrace::syscall(thread, None).expect("the agent goes on");
        if matches!(wait(), WaitStatus::Exited(..) | WaitStatus::Signaled(..)) {
            return;
        }
    }
    agent.kill().expect("killed");
    wait();
}

/// Does what [`run_agent`] asks for. It is no test by itself.
#[test]
#[ignore = "run_agent starts it"]
fn the_agent_itself() {
    let Ok(task) = env::var(TASK) else { return };
    let (path, life, actions, end): (std::path::PathBuf, usize, Vec<Action>, LifeEnd) =
        serde_json::from_str(&task).expect("a task");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = runtime.block_on(StateDir::open(&path)).expect("the directory opens");
    directory.names().iter().for_each(|name| drop(directory.load(name)));
    if let LifeEnd::KilledAtSize(size) | LifeEnd::DiskFull(size) = end {
        setrlimit(Resource::RLIMIT_CORE, 0, 0).expect("a limit");
        setrlimit(Resource::RLIMIT_FSIZE, size, size).expect("a limit");
    }
    if let LifeEnd::DiskFull(_) = end {
        // the write then fails instead
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGXFSZ);
        signals.thread_block().expect("a blocked signal");
    }
    say(&format!("ready {}", gettid()));
    std::io::stdin().read_exact(&mut [0]).expect("the beginning");
    for (n, action) in actions.iter().enumerate() {
        say(&format!("done {}", act(&directory, life, n, action)));
    }
}

fn act(directory: &StateDir, life: usize, n: usize, action: &Action) -> bool {
    let name = NAMES[action.name];
    let text = |size| Secret::new(text(life, n, action.name, size));
    match action.what {
        ActionKind::Save(size) => directory.save(name, &text(size)).is_ok(),
        ActionKind::SaveJournal(size) => directory.save_journal(name, &text(size)).is_ok(),
        ActionKind::RemoveJournal => {
            directory.remove_journal(name);
            true
        }
        ActionKind::Remove => {
            directory.remove(name);
            true
        }
    }
}

/// Writes a line in one call.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).expect("written");
}
