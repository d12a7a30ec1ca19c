//! `cargo xtask bench`: the figures of docs/benchmarks.md, each from one run against one OpenBao.
//!
//! It lives with the harness, whose servers and calls it uses, and not in xtask, whose build every command
//! waits for. The load comes from one thread over kept connections, as the driver's does; bare GETs of the same
//! secret take turns with it in short rounds, so that whatever else the machine does hits both.

mod api;
mod csi;
mod leases;
mod load;
mod report;
mod rounds;
mod series;
mod vault;

use std::time::Duration;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

/// Measures what its argument names: `csi`, `leases`, `api`, or all without one.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let asked = std::env::args().nth(1);
    let asked = |name: &str| asked.as_deref().is_none_or(|asked| asked == name);
    if asked("csi") {
        csi::measure().await;
    }
    if asked("leases") {
        leases::measure().await;
    }
    if asked("api") {
        api::measure().await;
    }
}

fn progress(text: &str) {
    eprintln!("{text} …");
}
