//! Answers whose bytes cost more than others.

use std::sync::Arc;

use coffer_tests::{RogueAct, Suite};

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, json, login, objects, paths, secret, vault, vault_by};

/// Just below the largest answer that is read.
const LARGE: usize = (8 << 20) - 4096;

/// Makes a part of an answer.
type MakeText = fn() -> String;

/// A name, the answer's `data`, and how many objects read its key `k`.
const OF_DATA: [(&str, MakeText, usize); 9] = [
    ("nested_objects_with_padding", nested, 60),
    ("nested_objects_with_padded_names", nested_names, 60),
    ("whitespace_around_each_value", whitespace, 100),
    ("a_million_members", members, 1),
    ("a_million_times_the_same_key", same_key, 100),
    ("millions_of_elements", elements, 30),
    ("a_string_of_escapes", escapes, 30),
    ("a_number_of_megabytes", digits, 30),
    ("levels_without_end", levels, 4),
];

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = attack(suite, "nothing_at_all", async |_| std::future::pending().await);
    let suite = OF_DATA.into_iter().fold(suite, |suite, (name, data, number)| {
        attack(suite, name, move |mallory| read(mallory, secret(&data()), number))
    });
    let suite = attack(suite, "refusals_of_8_mb", refusals);
    let suite = attack(suite, "a_thousand_answers_of_15_kb_each", free_answers);
    let suite = attack(suite, "whole_responses_by_the_thousand", whole_responses);
    attack(suite, "logins_of_8_mb", large_logins)
}

/// Mounts without end, four at once, that many objects of one answer.
async fn read(mallory: Arc<Mallory>, answer: Arc<[u8]>, number: usize) {
    let vault = vault(vec![RogueAct::Write(answer)]).await;
    let objects = objects(number, |_| ("kv/app".to_owned(), "k".to_owned()));
    mallory.flood(4, |_| mallory.call(&vault, &objects)).await;
}

/// 60 levels of objects, each with a part of the padding before the next.
fn nested() -> String {
    let opened = format!(r#"{{"p":"{}","k":"#, "x".repeat(LARGE / 60 - 20)).repeat(60);
    format!("{opened}0{}", "}".repeat(60))
}

fn nested_names() -> String {
    let opened = format!(r#"{{"{}":0,"k":"#, "x".repeat(LARGE / 60 - 20)).repeat(60);
    format!("{opened}0{}", "}".repeat(60))
}

fn whitespace() -> String {
    let padding = " \n\t\r".repeat(LARGE / 1000 / 4 - 10);
    let members: String = (0..900).map(|i| format!(r#""a{i}":{padding}[1],"#)).collect();
    format!(r#"{{{members}"k":{padding}[{padding}1{padding}]}}"#)
}

fn members() -> String {
    format!(r#"{{{}"k":1}}"#, r#""a":0,"#.repeat(LARGE / 7))
}

fn same_key() -> String {
    format!(r#"{{{}"k":{{"k":1}}}}"#, r#""k":0,"#.repeat(LARGE / 7))
}

fn elements() -> String {
    format!(r#"{{"k":[{}0]}}"#, "0,".repeat(LARGE / 2 - 100))
}

fn escapes() -> String {
    format!(r#"{{"k":"{}"}}"#, r"\u0001\n\ud83d\ude00".repeat(LARGE / 20 - 20))
}

fn digits() -> String {
    format!(r#"{{"k":[{}]}}"#, "1".repeat(LARGE - 200))
}

fn levels() -> String {
    format!(r#"{{"k":{}{}}}"#, "[".repeat(LARGE / 2 - 100), "]".repeat(LARGE / 2 - 100))
}

/// Statuses that mean different things, each with words that are looked through.
async fn refusals(mallory: Arc<Mallory>) {
    let words = format!(r#"{{"errors":["{}"]}}"#, r"\u0041 permission denied ".repeat(LARGE / 24));
    let tree = format!(r#"{{"errors":{},"data":{}}}"#, "[".repeat(60) + &"]".repeat(60), members());
    let answers: Vec<_> = [400, 403, 404, 412, 500, 503].map(|status| json(status, &words)).into();
    let tree = json(400, tree);
    let vault = vault_by(move |_, number| {
        let of_words = answers.get(number % (answers.len() + 1));
        vec![RogueAct::Write(Arc::clone(of_words.unwrap_or(&tree)))]
    })
    .await;
    mallory.flood(16, |_| mallory.call(&vault, &paths(1))).await;
}

async fn free_answers(mallory: Arc<Mallory>) {
    let vault = vault(vec![RogueAct::Write(secret(&format!(r#"{{"k":"{}"}}"#, "x".repeat(15_000))))]).await;
    let objects = paths(1000);
    mallory.flood(8, |_| mallory.call(&vault, &objects)).await;
}

/// As large as the driver takes: every mount's answer is 4 MB.
async fn whole_responses(mallory: Arc<Mallory>) {
    let vault = vault(vec![RogueAct::Write(secret(&format!(r#"{{"k":"{}"}}"#, "x".repeat(3_700))))]).await;
    let objects = objects(1000, |i| (format!("kv/{i}"), String::new()));
    mallory.flood(20, |_| mallory.call(&vault, &objects)).await;
}

/// Tokens, accessors and the rest of the answer.
async fn large_logins(mallory: Arc<Mallory>) {
    let long = "x".repeat(1 << 20);
    let rest = format!(
        r#"{{"auth":{{"client_token":"t","lease_duration":3600,"metadata":{{"k":"{}"}}}}}}"#,
        "x".repeat(LARGE)
    );
    let answers = [
        login(&long, "accessor", 3600),
        login("hvs.rogue", &long, 3600),
        login(&long, &long, 3600),
        json(200, rest),
    ];
    let answer = secret(r#"{"k":"v"}"#);
    let vault = coffer_tests::RogueVault::start(move |line, number| {
        let login = line.contains("/login ");
        vec![RogueAct::Write(Arc::clone(if login { &answers[number % 4] } else { &answer }))]
    })
    .await;
    mallory.flood(20, |_| mallory.call(&vault, &paths(1))).await;
}
