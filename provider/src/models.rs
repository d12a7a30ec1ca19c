//! Models: the real code of sessions, logins, leases, revocations and records against a fake Vault
//! in memory, with events in random order and a clock that moves by itself.
//!
//! The fake knows all that it has issued, and checks the rules of `vault/rules.rs` at each request.
//! `PROPTEST_CASES=20000 cargo test -p coffer-provider models` tries more cases.

mod agent;
mod cancelled;
mod classes;
mod disk;
mod found;
mod node;
mod operation;
mod vault;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use tokio::runtime::Builder;
use tokio::time::Instant;

use self::node::Node;
use self::operation::{Event, event};

/// Cases of each model, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 200;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_on_a_node_the_rules_hold(events in vec(event(), 1..40)) {
        let violations = violations(&events);
        prop_assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// Lets events happen on a node until all has come to rest. Returns what broke a rule.
fn violations(events: &[Event]) -> Vec<String> {
    run(async {
        let mut node = Node::new();
        for event in events {
            node.happen(*event).await;
        }
        node.come_to_rest().await;
        node.vault.lock().take_violations()
    })
}

/// Runs a test whose clock advances when all waits.
fn run<T>(test: impl Future<Output = T>) -> T {
    uptime(Instant::now());
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(test)
}

fn config() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: CASES, ..config },
    }
}

/// Returns how long the machine runs.
fn uptime(now: Instant) -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    Duration::from_secs(86_400) + now.saturating_duration_since(*BEGAN.get_or_init(|| now))
}

/// Returns the time of day.
fn time_of_day(now: Instant) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + uptime(now)
}
