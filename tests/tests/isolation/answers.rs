//! Answers that cost more than their bytes.

use std::sync::Arc;

use coffer_tests::{RogueAct, Suite};

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, json, objects, vault};

/// Just below the largest answer that is read.
const LARGE: usize = (8 << 20) - 4096;

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = attack(suite, "nothing_at_all", async |_| std::future::pending().await);
    let suite = attack(suite, "nested_objects_with_padding", |m| one_answer(m, nested(60, LARGE), 60));
    let suite = attack(suite, "a_million_members", |m| one_answer(m, repeated(r#""a":0,"#), 1));
    attack(suite, "an_array_of_millions", |m| one_answer(m, array(), 30))
}

/// Mounts without end, four at once, that many objects of one answer with this data.
async fn one_answer(mallory: Arc<Mallory>, data: String, number: usize) {
    let body = format!(r#"{{"request_id":"r","lease_id":"","data":{data}}}"#);
    let vault = vault(vec![RogueAct::Write(json(200, body))]).await;
    let objects = objects(number, |_| ("kv/app".to_owned(), "k".to_owned()));
    mallory.flood(4, |_| mallory.call(&vault, &objects)).await;
}

/// Returns that many levels of objects, each with a part of the padding before the next.
fn nested(levels: usize, bytes: usize) -> String {
    let padding = "x".repeat(bytes / levels - 20);
    let opened = format!(r#"{{"p":"{padding}","k":"#).repeat(levels);
    format!("{opened}0{}", "}".repeat(levels))
}

/// Returns an object of this member as often as it fits, and a member `k`.
fn repeated(member: &str) -> String {
    format!(r#"{{{}"k":1}}"#, member.repeat((LARGE - 100) / member.len()))
}

fn array() -> String {
    format!(r#"{{"k":[{}0]}}"#, "0,".repeat(LARGE / 2 - 100))
}
