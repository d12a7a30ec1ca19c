//! A long run with faults: `cargo xtask soak`. What it does and how it judges is written in
//! `docs/soak.md`.
//!
//! | module | what it is |
//! |---|---|
//! | `draw` | what happens when, drawn from the seed |
//! | `world`, `node`, `tenant` | the servers, and the tenants' classes and roles |
//! | `pods` | pods that come and go, and kubelet's part for them |
//! | `values` | what was written into Vault, and when |
//! | `fault` | the faults, each with its begin and its end |
//! | `fault_log` | which faults were on when |
//! | `watch` | reads all files, all users of PostgreSQL and the agent's figures again and again |
//! | `judge`, `counts` | what must hold of them, all the time and at the end; pure |
//! | `agent_log` | which lines of the agent's log a fault explains; pure |
//! | `figures` | what must not grow; pure |
//! | `ledger` | what is known of the run |
//! | `report` | the report and the plot |
//!
//! Times are counted from the start of the run, when all pods are mounted.

mod agent_log;
mod breach;
mod counts;
mod database;
mod draw;
mod fault;
mod fault_log;
mod figures;
mod judge;
mod ledger;
mod node;
mod options;
mod pods;
mod report;
mod run;
mod tenant;
mod values;
mod watch;
mod world;

pub use options::{SoakOptions, WrongOption};
pub use run::run_soak;
