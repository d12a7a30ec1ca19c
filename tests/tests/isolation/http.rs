//! Servers that abuse HTTP itself: headers, framing, HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use coffer_tests::{RogueAct, RogueVault, Suite, TestCa, http_answer};
use futures_util::future::join_all;

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, paths, vault, vault_by};

/// Servers at once: each may have connections of its own.
const SERVERS: usize = 8;

/// Mounts at once from each of them.
const MOUNTS: usize = 32;

/// A name, the beginning of an answer, and what follows it without end.
const ENDLESS: [(&str, &str, &str); 7] = [
    ("headers_without_end", "HTTP/1.1 200 OK\r\n", "X-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
    ("a_header_without_end", "HTTP/1.1 200 OK\r\nX-Padding: ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("a_status_line_without_end", "HTTP/1.1 200 ", "OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK "),
    ("informational_answers_without_end", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=b\r\n\r\n"),
    ("a_chunk_extension_without_end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "aaaaaaaaa"),
    (
        "trailers_without_end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "X-Trailer: aaaaaa\r\n",
    ),
    (
        "a_body_without_end",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        "data: aaaaaaaa\n\n",
    ),
];

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = ENDLESS.into_iter().fold(suite, |suite, (name, begin, rest)| {
        let begin = RogueAct::Write(begin.as_bytes().into());
        let rest = RogueAct::WriteForEver(rest.repeat(300).as_bytes().into());
        attack(suite, name, move |mallory| from_many(mallory, vec![begin.clone(), rest.clone()]))
    });
    let suite = attack(suite, "headers_of_300_kb_of_answers_that_are_held", held_headers);
    let suite = attack(suite, "http2_continuation_without_end", |m| http2(m, continuation(), false));
    let suite = attack(suite, "http2_pings_and_settings_without_end", |m| http2(m, pings(), false));
    let suite = attack(suite, "http2_data_up_to_every_window", |m| http2(m, data(), true));
    let suite = attack(suite, "redirects_in_circles", redirects);
    let suite = attack(suite, "lengths_that_lie", lies);
    attack(suite, "come_again_in_a_year", busy)
}

/// Lets many mounts log in at many servers that perform these acts.
async fn from_many(mallory: Arc<Mallory>, acts: Vec<RogueAct>) {
    let servers = join_all((0..SERVERS).map(|_| {
        let acts = acts.clone();
        RogueVault::start(move |_, _| acts.clone())
    }));
    let (servers, objects) = (servers.await, paths(1));
    let floods = servers.iter().map(|vault| mallory.flood(MOUNTS, |_| mallory.call(vault, &objects)));
    join_all(floods).await;
}

/// Headers that are complete, of an answer whose body does not come.
async fn held_headers(mallory: Arc<Mallory>) {
    let headers = format!("X-Padding: {}\r\n", "a".repeat(1000)).repeat(90);
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 100\r\n\r\n");
    from_many(mallory, vec![RogueAct::Write(head.as_bytes().into()), RogueAct::Stall]).await;
}

/// Sends frames to everybody who connects over HTTP/2.
async fn http2(mallory: Arc<Mallory>, frames: [Vec<u8>; 2], then_stall: bool) {
    let [begin, rest] = frames;
    let rest: Arc<[u8]> = rest.into();
    let rest = if then_stall {
        vec![RogueAct::Write(rest), RogueAct::Stall]
    } else {
        vec![RogueAct::WriteForEver(rest)]
    };
    let acts: Vec<_> = [RogueAct::Write(begin.into())].into_iter().chain(rest).collect();
    let authority = TestCa::new();
    let servers = join_all((0..SERVERS).map(|_| RogueVault::blind_http2(&authority, acts.clone())));
    let (servers, objects) = (servers.await, paths(1));
    let call = |vault| mallory.call(vault, &objects).param("vaultSkipTLSVerify", "true");
    join_all(servers.iter().map(|vault| mallory.flood(MOUNTS, move |_| call(vault)))).await;
}

/// HEADERS of the first stream without END_HEADERS, and CONTINUATION frames.
fn continuation() -> [Vec<u8>; 2] {
    let field = [&[0, 9][..], b"x-padding", &[100], &[b'a'; 100]].concat();
    [[settings(), frame(1, 0, 1, &[0x88])].concat(), frame(9, 0, 1, &field.repeat(140))]
}

fn pings() -> [Vec<u8>; 2] {
    let rest = [frame(6, 0, 0, &[1; 8]), settings(), frame(8, 0, 0, &[0, 0, 0, 1])].concat();
    [settings(), rest.repeat(100)]
}

/// The head of an answer to each of the first streams, and data for each.
fn data() -> [Vec<u8>; 2] {
    let streams: Vec<u32> = (0..32).map(|i| 2 * i + 1).collect();
    let heads: Vec<u8> = streams.iter().flat_map(|stream| frame(1, 4, *stream, &[0x88])).collect();
    let one = |stream: &u32| frame(0, 0, *stream, &[b'a'; 16_000]);
    let bodies: Vec<u8> = streams.iter().flat_map(one).collect();
    [[settings(), heads].concat(), bodies.repeat(16)]
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// To itself, to another path, to the agent's own health port.
async fn redirects(mallory: Arc<Mallory>) {
    let health = format!("http://{}/metrics", mallory.health);
    let vault = vault_by(move |line, number| {
        let itself = line.split(' ').nth(1).unwrap_or("/");
        let target = [itself, "/v1/a/b", health.as_str(), "//127.0.0.1:1/v1/x"][number % 4];
        vec![RogueAct::Write(http_answer(307, &format!("Location: {target}\r\n"), ""))]
    })
    .await;
    mallory.flood(60, |_| mallory.call(&vault, &paths(8))).await;
}

/// Too long, too short, several, and none with a body that does not end.
async fn lies(mallory: Arc<Mallory>) {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n{\"data\"",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{\"data\":{\"k\":\"v\"}}HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}",
        "HTTP/1.1 200 OK\r\n\r\n{\"data\":{\"k\":\"v\"}}",
    ];
    let vault = vault_by(move |_, number| {
        let answer = answers[number % answers.len()].as_bytes();
        vec![RogueAct::Write(answer.into()), RogueAct::Wait(Duration::from_secs(2)), RogueAct::Close]
    })
    .await;
    mallory.flood(100, |_| mallory.call(&vault, &paths(4))).await;
}

async fn busy(mallory: Arc<Mallory>) {
    let answer = http_answer(429, "Retry-After: 31536000\r\n", "");
    let vault = vault(vec![RogueAct::Write(answer)]).await;
    mallory.flood(200, |_| mallory.call(&vault, &paths(8))).await;
}
