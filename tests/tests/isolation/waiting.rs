//! Servers that let the agent wait, and so hold what it took for the mount.

use std::sync::Arc;
use std::time::Duration;

use coffer_tests::{RogueAct, RogueVault, Suite, TestCa};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, login, objects, paths, secret, vault};

/// More servers than the agent remembers.
const SERVERS: usize = 160;

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = attack(suite, "answers_that_drip", dripping);
    let suite = attack(suite, "large_answers_that_drip_at_their_end", dripping_ends);
    let suite = attack(suite, "logins_that_are_never_answered", silent_logins);
    let suite = attack(suite, "large_classes_that_wait_for_a_login", large_classes);
    let suite = attack(suite, "tls_handshakes_that_never_end", handshakes);
    let suite = attack(suite, "more_servers_than_there_is_room_for", many_servers);
    let suite = attack(suite, "more_tls_settings_than_there_is_room_for", many_tls_settings);
    let suite = attack(suite, "three_hundred_slow_mounts", slow_mounts);
    attack(suite, "mounts_that_are_given_up", given_up)
}

async fn silent() -> RogueVault {
    RogueVault::start(|_, _| vec![RogueAct::Stall]).await
}

/// A byte a second, of 60 answers in chunks and of a length that is large.
async fn dripping(mallory: Arc<Mallory>) {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks: Arc<[u8]> = b"1\r\n{\r\n".repeat(100).into();
    let chunks = [RogueAct::Write(head[..].into()), RogueAct::Drip(chunks, Duration::from_secs(1))];
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n{";
    let whole =
        [RogueAct::Write(head[..].into()), RogueAct::Drip([b' '; 100].into(), Duration::from_secs(1))];
    for acts in [chunks, whole] {
        let vaults = join_all((0..4).map(|_| vault(acts.to_vec()))).await;
        let floods = vaults.iter().map(|vault| mallory.flood(60, |_| mallory.call(vault, &paths(8))));
        let _ = timeout(Duration::from_secs(2), join_all(floods)).await;
    }
}

/// All but the last bytes arrive at once.
async fn dripping_ends(mallory: Arc<Mallory>) {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 7000000\r\n\r\n{\"data\":{\"k\":\"";
    let begin = format!("{head}{}", "x".repeat(6_900_000));
    let drip = RogueAct::Drip([b'x'; 100].into(), Duration::from_secs(1));
    let acts = vec![RogueAct::Write(begin.as_bytes().into()), drip];
    let vaults = join_all((0..8).map(|_| vault(acts.clone()))).await;
    join_all(vaults.iter().map(|vault| mallory.flood(4, |_| mallory.call(vault, &paths(1))))).await;
}

async fn silent_logins(mallory: Arc<Mallory>) {
    let vault = silent().await;
    mallory.flood(500, |_| mallory.call(&vault, &paths(1))).await;
}

/// 300 KB each, as many objects as a class may have.
async fn large_classes(mallory: Arc<Mallory>) {
    let vault = silent().await;
    let name = "a".repeat(250);
    let class = |number| objects(1000, |i| (format!("kv/{number}/{i}/{name}"), "k".to_owned()));
    let classes: Vec<String> = (0..20).map(class).collect();
    mallory.flood(500, |i| mallory.call(&vault, &classes[i % classes.len()])).await;
}

/// TLS handshakes to servers that say nothing.
async fn handshakes(mallory: Arc<Mallory>) {
    let vaults = join_all((0..20).map(|_| silent())).await;
    let call = |vault: &RogueVault| {
        let address = vault.address().replace("http:", "https:");
        mallory.call(vault, &paths(1)).param("vaultAddress", &address)
    };
    join_all(vaults.iter().map(|vault| mallory.flood(40, |_| call(vault)))).await;
}

async fn many_servers(mallory: Arc<Mallory>) {
    let vaults = join_all((0..SERVERS).map(|_| silent())).await;
    join_all(vaults.iter().map(|vault| mallory.flood(3, |_| mallory.call(vault, &paths(1))))).await;
}

/// One server, which is another one for each name that its certificate should have.
async fn many_tls_settings(mallory: Arc<Mallory>) {
    let authority = TestCa::new();
    let answer = secret(r#"{"k":"v"}"#);
    let vault = RogueVault::start_tls(&authority, move |line, _| {
        let login = line.contains("/login ").then(|| login("t", "a", 3600));
        vec![RogueAct::Write(login.unwrap_or_else(|| Arc::clone(&answer)))]
    })
    .await;
    let call = |number: usize| {
        let name = format!("vault-{}.example", number % 1000);
        let call = mallory.call(&vault, &paths(1)).param("vaultTLSServerName", &name);
        call.param("vaultSkipTLSVerify", "true")
    };
    mallory.flood(40, call).await;
}

/// As a driver with many pods.
async fn slow_mounts(mallory: Arc<Mallory>) {
    let answer = RogueAct::Write(secret(r#"{"k":"v"}"#));
    let vault = vault(vec![RogueAct::Wait(Duration::from_secs(1)), answer]).await;
    mallory.flood(300, |_| mallory.call(&vault, &paths(8))).await;
}

/// kubelet gives up and calls again.
async fn given_up(mallory: Arc<Mallory>) {
    let vault = silent().await;
    let objects = paths(100);
    let give_up = async || loop {
        let call = mallory.call(&vault, &objects);
        let _ = timeout(Duration::from_millis(20), mallory.mount(&call)).await;
    };
    join_all((0..20).map(|_| give_up())).await;
}
