//! Coffer's build tasks: `cargo xtask test | demo | bench | image | manifests | servers | cluster`.
//!
//! Every command waits for this program to be built, so it uses std alone; what needs Coffer's own harness
//! (the demo, the benchmark) is a binary of `tests/` that this one builds and runs.

mod cargo;
mod cluster;
mod image;
mod leftovers;
mod openbao;
mod packages;
mod python;
mod servers;
mod step;
mod test;

use std::env;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

  test [ARGS]  every test of the workspace, against real servers; ARGS go to `cargo test`
  demo         mounts secrets from a real OpenBao, shows a change of one, credentials that live with their pod, and kubectl
  bench [WHAT] speed, CPU and memory of `csi` (mounts), `leases` (what is kept) and `api` (reads through kube-apiserver)
  image        builds the images into target/image with buildah, and runs them
  binaries DIR builds what is in them
  manifests    writes deploy/ anew from charts/coffer
  servers      builds etcd, Kubernetes, the CSI driver and Helm with Go, which takes minutes once; `test` does it too
  cluster up   starts them with OpenBao and coffer-csi, and tells what runs where; `cluster down` ends them";

/// What the benchmark measures.
const PARTS: [&str; 3] = ["csi", "leases", "api"];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match (command.as_deref(), rest.as_slice()) {
        (Some("test"), arguments) => test::run(arguments),
        (Some("demo"), []) => demo(),
        (Some("bench"), []) => bench(&PARTS),
        (Some("bench"), [what]) if PARTS.contains(&what.as_str()) => bench(&[what]),
        (Some("image"), []) => image::run(),
        (Some("binaries"), [out]) => image::binaries(Path::new(out)),
        (Some("manifests"), []) => manifests(),
        (Some("servers"), []) => servers::bring(),
        (Some("cluster"), [action]) if action == "up" => cluster_up(),
        (Some("cluster"), [action]) if action == "down" => cluster::down(),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<(), String> {
    openbao::bring()?;
    cargo::build("dev", &["coffer-daemonset", "coffer-api-server", "coffer", "coffer-tests"])?;
    cargo::run_harness("debug", "coffer-demo", &["node".as_ref()])?;
    // the rest wants more of a machine: it comes when something was seen already
    if let Err(reason) = packages::bring_postgres() {
        eprintln!("{reason}");
    }
    servers::bring()?;
    cargo::run_harness("debug", "coffer-demo", &["cluster".as_ref()])
}

fn bench(parts: &[&str]) -> Result<(), String> {
    openbao::bring()?;
    for part in parts {
        let package = if *part == "api" { "coffer-api-server" } else { "coffer-daemonset" };
        if *part == "leases" {
            packages::bring_postgres()?;
        }
        if *part != "csi" {
            servers::bring()?;
        }
        // As it is shipped, and what makes the load along with it: most of the two builds is the same.
        cargo::build("dist", &[package, "coffer-tests"])?;
        cargo::run_harness("dist", "coffer-bench", &[part.as_ref()])?;
    }
    Ok(())
}

fn manifests() -> Result<(), String> {
    servers::bring_one("helm-4")?;
    cargo::build("dev", &["coffer-tests"])?;
    cargo::run_harness("debug", "coffer-manifests", &[])
}

fn cluster_up() -> Result<(), String> {
    openbao::bring()?;
    servers::bring()?;
    cargo::build("dev", &["coffer-daemonset", "coffer-tests"])?;
    cluster::up()
}
