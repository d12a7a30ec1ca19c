//! Coffer's build tasks: `cargo xtask test`, `demo`, `bench`, `soak` and others.
//!
//! Every command waits until this program is built, so it has one small dependency. What needs the
//! test harness (the demo, the benchmark) is a binary of `tests/`, which this program builds and
//! runs.

mod architecture;
mod bench;
mod binaries;
mod cargo;
mod cargo_tools;
mod chart;
mod cluster;
mod files;
mod fuzz;
mod image;
mod leftovers;
mod miri;
mod nightly;
mod openbao;
mod packages;
mod prometheus;
mod python;
mod pyyaml;
mod second_build;
mod servers;
mod soak;
mod step;
mod test;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::architecture::Architecture;
use self::binaries::Tree;
use self::cargo::{COFFER, COFFER_API_SERVER, COFFER_CSI, harness};
use self::image::ImageOptions;
use self::servers::Server;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

  test [ARGS]  runs every test of the workspace, against real servers; ARGS go to `cargo test`
  fuzz [TARGET…]  runs the fuzz targets of fuzz/, or those named, each for a minute; with a target and
               files it repeats these inputs
    --minutes N  runs each for that long
    --seed S     draws the inputs from this number, not from the time
  miri         runs tests of parsers and of pure logic in Miri, which sees undefined behaviour
  demo         mounts secrets from a real OpenBao and changes one; shows credentials that end with
               their pod, and kubectl
  bench [WHAT] measures speed, CPU and memory: WHAT is `csi` (mounts), `leases` (renewed and revoked)
               or `api` (reads through kube-apiserver); all three without WHAT
    --beside PATH  measures another `coffer-csi` in the same rounds, such as one of an older commit
    --quick        takes short rounds: shows that the benchmark works, with figures that mean nothing
  soak         runs everything for 20 minutes with pods that come and go and faults, and judges all the
               time; see docs/soak.md
    --minutes N          runs that long
    --seed S             repeats the faults and pods of an earlier run
    --pods N             has that many pods at a time; 100 otherwise
    --fault-every N      makes a fault every N seconds; 60 otherwise, and 15 in runs of up to 5 minutes
    --report DIR         writes report.md and soak.svg there
    --release            runs the agent as it is shipped
  picture      draws docs/dashboard.svg from real data: the dashboard during a run of faults
  image [ARCH]...
               builds the images into target/image with buildah, and runs them: for amd64 and arm64, or
               for those that are named
    --twice    builds all of it again in another directory, and fails unless the digests are the same
  binaries DIR [ARCH]
               builds what the images hold into DIR: for this machine, or for amd64 or arm64
  chart REGISTRY
               packages the chart into target/chart, with the images in REGISTRY as its default
  manifests    renders deploy/ from charts/coffer
  servers      builds the tests' servers with Go: etcd, Kubernetes, the CSI driver and Helm; this takes
               minutes once, and `test` does so too
  cluster up   starts a cluster with OpenBao and coffer-csi, and prints where each runs
  cluster down ends the cluster";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match run(command.as_deref(), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Option<&str>, arguments: &[String]) -> Result<()> {
    match (command, arguments) {
        (Some("test"), arguments) => test::run(arguments),
        (Some("fuzz"), arguments) => fuzz::run(&fuzz::FuzzOptions::parse(arguments)?),
        (Some("miri"), []) => miri::run(),
        (Some("demo"), []) => demo(),
        (Some("bench"), arguments) => match bench::BenchOptions::parse(arguments) {
            Some(options) => bench::run(&options),
            None => bail!(USAGE),
        },
        (Some("soak"), arguments) => soak::run(arguments),
        (Some("picture"), []) => picture(),
        (Some("image"), options) => image::run(&ImageOptions::parse(options)?),
        (Some("binaries"), [out]) => build_binaries(Architecture::host()?, out),
        (Some("binaries"), [out, name]) => build_binaries(Architecture::named(name)?, out),
        (Some("chart"), [registry]) => chart::package(registry),
        (Some("manifests"), []) => manifests(),
        (Some("servers"), []) => servers::bring(&servers::TESTS),
        (Some("cluster"), [action]) if action == "up" => cluster_up(),
        (Some("cluster"), [action]) if action == "down" => cluster::down(),
        _ => bail!(USAGE),
    }
}

fn build_binaries(architecture: Architecture, out: &str) -> Result<()> {
    binaries::build(&Tree::workspace(), architecture, Path::new(out))
}

fn demo() -> Result<()> {
    let demo = harness("coffer-demo");
    openbao::bring()?;
    cargo::build("dev", &[COFFER_CSI, COFFER_API_SERVER, COFFER, demo])?;
    cargo::run_built(demo, &["node".into()])?;
    // The second part takes longer to prepare, so it comes after the first result.
    if let Err(error) = packages::bring_postgres() {
        eprintln!("{error:#}");
    }
    servers::bring(&[&servers::CLUSTER[..], &[Server::Driver16]].concat())?;
    cargo::run_built(demo, &["cluster".into()])
}

fn picture() -> Result<()> {
    let picture = harness("coffer-picture");
    openbao::bring()?;
    packages::bring_postgres()?;
    prometheus::bring()?;
    servers::bring(&[&servers::CLUSTER[..], &[Server::Helm4]].concat())?;
    cargo::build("dev", &[COFFER_CSI, COFFER_API_SERVER, picture])?;
    cargo::run_built(picture, &[])
}

fn manifests() -> Result<()> {
    let manifests = harness("coffer-manifests");
    servers::bring(&[Server::Helm4])?;
    cargo::build("dev", &[manifests])?;
    cargo::run_built(manifests, &[])
}

fn cluster_up() -> Result<()> {
    openbao::bring()?;
    servers::bring(&[&servers::CLUSTER[..], &[Server::KubeControllerManager, Server::Driver16]].concat())?;
    cargo::build("dev", &[COFFER_CSI, harness(cluster::PROGRAM)])?;
    cluster::up()
}
