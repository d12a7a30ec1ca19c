//! What the agent keeps between mounts: sessions, leases, answers, records.

use std::sync::Arc;
use std::time::Duration;

use coffer_tests::{MountCall, RogueAct, RogueVault, Suite, TestPod};
use tokio::time::sleep;

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, json, leased, login, paths, secret, vault, vault_by};

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = attack(suite, "sessions_with_leases_of_1200_roles", many_roles);
    let suite = attack(suite, "sessions_of_2000_pods", many_pods);
    let suite = attack(suite, "leases_of_a_kept_session", kept_session);
    let suite = attack(suite, "three_thousand_leases_of_4_s", |m| short_leases(m, 4));
    let suite = attack(suite, "three_thousand_leases_of_a_second", |m| short_leases(m, 1));
    let suite = attack(suite, "tokens_of_a_second", short_tokens);
    let suite = attack(suite, "room_for_leases_taken_by_a_pod_that_ends", room_of_a_gone_pod);
    let suite = attack(suite, "lease_ids_of_a_megabyte", large_lease_ids);
    let suite = attack(suite, "answers_kept_by_refresh_intervals", kept_answers);
    let suite = attack(suite, "renewals_that_hang", hanging_renewals);
    let suite = attack(suite, "replacements_at_each_republish", replacements);
    suite.test("killed_with_a_full_state_directory", killed_when_full)
}

/// Starts a server whose every answer has a lease; renewals of it are answered so too.
async fn lessor(seconds: u64, data: &str) -> RogueVault {
    let answer = leased_by_path(seconds, data.to_owned());
    vault_by(move |line, number| vec![RogueAct::Write(answer(line, number))]).await
}

fn leased_by_path(seconds: u64, data: String) -> impl Fn(&str, usize) -> Arc<[u8]> + Send + Sync {
    move |line, number| match line {
        line if line.contains("/sys/leases/") => leased("renewed", seconds, "null"),
        line if line.contains("/auth/token/") => login("", "accessor", seconds.max(60)),
        _ => leased(&format!("engine/creds/{number}"), seconds, &data),
    }
}

/// Data of that many kilobytes, with a short value at key `k`.
fn data(kilobytes: usize) -> String {
    format!(r#"{{"k":"v","padding":"{}"}}"#, "x".repeat(kilobytes << 10))
}

/// All of one pod, whose lease lets none of them leave.
async fn many_roles(mallory: Arc<Mallory>) {
    let (vault, pod) = (lessor(3600, &data(0)).await, mallory.real_pod().await);
    let calls =
        (0..1200).map(|i| mallory.call_of(&pod, &vault, &paths(1)).param("roleName", &format!("r{i}")));
    mallory.mount_all(100, calls).await;
}

async fn many_pods(mallory: Arc<Mallory>) {
    let vault = vault(vec![RogueAct::Write(secret(&data(0)))]).await;
    mallory.mount_all(150, (0..2000).map(|_| mallory.call(&vault, &paths(1)))).await;
}

/// 900 leases of one session, each with as much as the record may hold, and new ones all the time.
async fn kept_session(mallory: Arc<Mallory>) {
    let (vault, pod) = (lessor(3600, &data(12)).await, mallory.real_pod().await);
    let objects = |round: usize| paths(900).replace("engine/", &format!("engine/{round}/"));
    mallory.flood(2, |round| mallory.call_of(&pod, &vault, &objects(round))).await;
}

async fn short_leases(mallory: Arc<Mallory>, seconds: u64) {
    let vault = lessor(seconds, &data(0)).await;
    let pods = [mallory.real_pod().await, mallory.real_pod().await, mallory.real_pod().await];
    mallory.mount_all(3, pods.iter().map(|pod| mallory.call_of(pod, &vault, &paths(1000)))).await;
    std::future::pending::<()>().await;
}

/// Every login's token is due at once.
async fn short_tokens(mallory: Arc<Mallory>) {
    let vault = RogueVault::start(|line, number| {
        let issued = leased(&format!("engine/creds/{number}"), 1, r#"{"k":"v"}"#);
        let token = line.contains("/auth/");
        vec![RogueAct::Write(if token { login(&format!("t{number}"), "accessor", 1) } else { issued })]
    })
    .await;
    let pod = mallory.real_pod().await;
    let role = |i: usize| format!("r{}", i % 300);
    mallory.flood(60, |i| mallory.call_of(&pod, &vault, &paths(1)).param("roleName", &role(i))).await;
}

/// The pods are gone, their token cannot be revoked, and their leases take the room.
async fn room_of_a_gone_pod(mallory: Arc<Mallory>) {
    let answer = leased_by_path(3600, data(500));
    let vault = vault_by(move |line, number| match line.contains("/revoke") {
        true => vec![RogueAct::Write(json(500, "{}"))],
        false => vec![RogueAct::Write(answer(line, number))],
    })
    .await;
    let pod = mallory.real_pod().await;
    let calls = |pod: &TestPod| -> Vec<MountCall> {
        (0..4).map(|i| mallory.call_of(pod, &vault, &paths(20)).param("roleName", &format!("r{i}"))).collect()
    };
    mallory.mount_all(4, calls(&pod)).await;
    mallory.delete(&pod).await;
    std::future::pending::<()>().await;
}

async fn large_lease_ids(mallory: Arc<Mallory>) {
    let id = "x".repeat(1 << 20);
    let vault = vault(vec![RogueAct::Write(leased(&id, 3600, r#"{"k":"v"}"#))]).await;
    let pod = mallory.real_pod().await;
    mallory.flood(8, |i| mallory.call_of(&pod, &vault, &paths(30)).param("roleName", &format!("r{i}"))).await;
}

async fn kept_answers(mallory: Arc<Mallory>) {
    let vault = vault(vec![RogueAct::Write(secret(&format!(r#"{{"k":"{}"}}"#, "x".repeat(100_000))))]).await;
    mallory.flood(40, |_| mallory.call(&vault, &paths(20)).param("refreshInterval", "1h")).await;
}

/// As many as are under way at once, and more.
async fn hanging_renewals(mallory: Arc<Mallory>) {
    let vault =
        vault_by(|line, number| match line.contains("/sys/leases/") || line.contains("/auth/token/") {
            true => vec![RogueAct::Stall],
            false => vec![RogueAct::Write(leased(&format!("engine/creds/{number}"), 2, r#"{"k":"v"}"#))],
        })
        .await;
    let pods = [mallory.real_pod().await, mallory.real_pod().await];
    let call = |i: usize| mallory.call_of(&pods[i % 2], &vault, &paths(30));
    mallory.flood(20, |i| call(i).param("roleName", &format!("r{}", i % 100))).await;
}

/// Leases that are never renewed, so that every republish asks for a new one.
async fn replacements(mallory: Arc<Mallory>) {
    let vault = vault_by(|line, number| match line.contains("/sys/leases/") {
        true => vec![RogueAct::Write(json(400, r#"{"errors":["lease is not renewable"]}"#))],
        false => vec![RogueAct::Write(leased(&format!("engine/creds/{number}"), 1, &data(4)))],
    })
    .await;
    let pods = [mallory.real_pod().await, mallory.real_pod().await, mallory.real_pod().await];
    mallory.flood(6, |i| mallory.call_of(&pods[i % 3], &vault, &paths(300))).await;
}

/// What it finds at its start must fit into the same memory.
async fn killed_when_full(setup: Arc<AgentSetup>) {
    const NAME: &str = "killed_with_a_full_state_directory";
    let mut stage = setup.stage().await;
    let long = "x".repeat(100 << 10);
    let vault = RogueVault::start(move |line, number| {
        let issued = || leased(&format!("engine/creds/{number}"), 3600, &data(2));
        let login = line.contains("/auth/").then(|| login(&format!("{number}{long}"), "accessor", 3600));
        vec![RogueAct::Write(login.unwrap_or_else(issued))]
    })
    .await;
    let mallory = Arc::clone(&stage.mallory);
    let pods = [mallory.real_pod().await, mallory.real_pod().await];
    let call =
        |i: usize| mallory.call_of(&pods[i % 2], &vault, &paths(4)).param("roleName", &format!("r{i}"));
    mallory.mount_all(40, (0..600).map(call)).await;
    stage.restart().await;
    setup.judge(stage.attacked(NAME, sleep(Duration::from_secs(2))).await.0);
}
