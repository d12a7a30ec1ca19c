//! coffer-csi under load: mounts beside bare GETs.

use std::time::Duration;

use coffer_tests::{Csi, OpenBao, coffer_binary, http_client};

use crate::load::{Gets, Mounts};
use crate::report::Report;
use crate::rounds::{self, Round};
use crate::vault::Vault;
use crate::{ROUND, ROUNDS, progress};

const CONCURRENCIES: [usize; 3] = [1, 10, 100];
const PODS: usize = 1000;

/// Measures, and prints the tables.
pub(crate) async fn measure() {
    let vault = Vault::prepare(OpenBao::start_unaudited().await).await;
    let mut report = Report::new(&coffer_binary("coffer-csi"));

    progress("memory and requests: 1,000 pods mount for the first time, then once more");
    measure_memory_and_requests(&vault, &mut report).await;
    for at_once in CONCURRENCIES {
        progress(&format!("{at_once} at once: known pods beside bare GETs, then new pods"));
        measure_speed(&vault, at_once, &mut report).await;
    }
    report.print();
}

async fn measure_memory_and_requests(vault: &Vault, report: &mut Report) {
    let csi = provider(vault).await;
    report.resident_idle_kib = csi.process().resident_kib();
    let mounts = Mounts::new(csi.client(), vault, PODS);
    let before = vault.requests().await;
    mounts.each_once(10).await;
    let first = vault.requests().await;
    report.resident_after_kib = csi.process().resident_kib();
    mounts.each_once(10).await;
    let again = vault.requests().await;
    report.requests_first = (first - before) / PODS as f64;
    report.requests_known = (again - first) / PODS as f64;
}

async fn measure_speed(vault: &Vault, at_once: usize, report: &mut Report) {
    // New pods have a provider of their own: they would drive the known ones out of its cache.
    let (for_known, for_new) = (provider(vault).await, provider(vault).await);
    let known = Mounts::new(for_known.client(), vault, at_once);
    known.each_once(at_once).await;
    let gets = Gets::new(vault.get(&http_client()).await);
    // What is first in a process is slow for reasons of its own.
    rounds::run(at_once, ROUND / 4, &gets).await;
    rounds::run(at_once, ROUND / 4, &known).await;

    for _ in 0..ROUNDS {
        report.gets(at_once, rounds::run(at_once, ROUND, &gets).await);
        let (round, cpu) = with_cpu(&for_known, rounds::run(at_once, ROUND, &known)).await;
        report.known(at_once, round, cpu);
        // A round by number, since each new pod needs a token signed beforehand.
        let new = Mounts::new(for_new.client(), vault, 200 + 8 * at_once);
        let (round, cpu) = with_cpu(&for_new, new.each_once(at_once)).await;
        report.new_pods(at_once, round, cpu);
    }
}

/// What the work cost the provider, in CPU time.
async fn with_cpu(csi: &Csi, work: impl Future<Output = Round>) -> (Round, Duration) {
    let before = csi.process().cpu_time();
    let round = work.await;
    (round, csi.process().cpu_time() - before)
}

async fn provider(vault: &Vault) -> Csi {
    Csi::options().flag(format!("-vault-addr={}", vault.address())).start().await
}
