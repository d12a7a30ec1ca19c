//! The tables of `cargo xtask bench csi`.

use super::speed::CsiSpeeds;
use super::{AgentBuild, Footprint};
use crate::series::{Series, mib, p50, per_second};

/// Prints all tables.
pub(super) fn print(builds: &[AgentBuild], footprints: &[Footprint], speeds: &[CsiSpeeds]) {
    Series::print_head();
    speeds.iter().for_each(|speeds| print_speeds(builds, speeds));
    print_to_relay(builds, speeds);
    print_figures(builds, footprints, speeds);
}

/// Prints the rows of one concurrency.
fn print_speeds(builds: &[AgentBuild], speeds: &CsiSpeeds) {
    let (at_once, gets) = (speeds.at_once, &speeds.gets);
    println!("{}", gets.row(at_once, "bare GET", None));
    println!("{}", speeds.relay.row(at_once, "relay, by grpc-go", Some(gets)));
    for (build, agent) in builds.iter().zip(&speeds.agents) {
        for (what, series) in [
            ("pod known", &agent.known),
            ("pod known, by grpc-go", &agent.known_by_grpc_go),
            ("new pod", &agent.new_pods),
        ] {
            println!("{}", series.row(at_once, &format!("{}: mount, {what}", build.name), Some(gets)));
        }
    }
}

/// Prints republishes by grpc-go as ratios to the relay's mounts in the same rounds.
fn print_to_relay(builds: &[AgentBuild], speeds: &[CsiSpeeds]) {
    println!("\n| at once | to the relay | CPU a mount | mounts a second | p50 | resident memory |");
    println!("|---:|---|---:|---:|---:|---:|");
    for speeds in speeds {
        for (build, agent) in builds.iter().zip(&speeds.agents) {
            let (mounts, relay) = (&agent.known_by_grpc_go, &speeds.relay);
            println!(
                "| {} | {} | {:.2} x | {:.2} x | {:.2} x | {:.2} x |",
                speeds.at_once,
                build.name,
                mounts.cpu_each() / relay.cpu_each(),
                mounts.ratio(relay, per_second),
                mounts.ratio(relay, p50),
                agent.resident_kib as f64 / speeds.relay_resident_kib as f64,
            );
        }
    }
}

/// Prints a column of single figures for each build.
fn print_figures(builds: &[AgentBuild], footprints: &[Footprint], speeds: &[CsiSpeeds]) {
    let names: Vec<_> = builds.iter().map(|build| build.name).collect();
    println!("\n| what | {} |", names.join(" | "));
    println!("|---|{}", "---:|".repeat(names.len()));
    let footprint = |what: &str, figure: &dyn Fn(&Footprint) -> String| {
        print_row(what, footprints.iter().map(figure));
    };
    footprint("resident memory, idle", &|it| mib(it.resident_idle_kib));
    footprint("resident memory, after 1,000 pods", &|it| mib(it.resident_after_kib));
    footprint("Vault requests, first mount", &|it| format!("{:.2}", it.requests_first));
    footprint("Vault requests, pod known", &|it| format!("{:.2}", it.requests_known));
    footprint("binary", &|it| format!("{:.2} MB", it.binary_bytes as f64 / 1e6));
    for speeds in speeds {
        let cpu = speeds.agents.iter().map(|agent| format!("{:.3} ms", agent.known.cpu_each()));
        print_row(&format!("CPU of a mount, pod known, {} at once", speeds.at_once), cpu);
    }
    let alone = &speeds[0];
    let p50 = alone.agents.iter().map(|agent| format!("{:.2} x", agent.known.ratio(&alone.gets, p50)));
    print_row("p50 of one mount, pod known, alone, to the bare GET's", p50);
}

fn print_row(what: &str, figures: impl Iterator<Item = String>) {
    println!("| {what} | {} |", figures.collect::<Vec<_>>().join(" | "));
}
