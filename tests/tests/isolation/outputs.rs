//! Formats, filters and pointers that make much of little, or look long for it.

use std::sync::Arc;

use coffer_tests::{RogueAct, Suite};

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, secret, vault};

/// Just below the largest answer that is read.
const LARGE: usize = (8 << 20) - 4096;

/// The most objects that a class may have.
const OBJECTS: usize = 1000;

/// Makes a part of an answer, or a class's `objects`.
type MakeText = fn() -> String;

/// A name, the answer's `data`, and the class's `objects`.
const ATTACKS: [(&str, MakeText, MakeText); 18] = [
    ("stars_on_60_000_keys", keys, || {
        let patterns = vec![format!("\"{}z\"", "*k".repeat(100)); 64].join(",");
        objects(20, &format!("format: json, include: [{patterns}], exclude: [{patterns}]"))
    }),
    ("one_key_of_60_000_a_thousand_times", keys, || objects(OBJECTS, "format: json, include: [k1]")),
    ("files_of_60_000_keys", keys, || objects(OBJECTS, "format: files, exclude: ['k*']")),
    ("a_thousand_times_a_thousand_files", || numbered(1000, "\"\""), || objects(OBJECTS, "format: files")),
    (
        "a_thousand_files_in_a_long_path",
        || numbered(1000, "\"\""),
        || {
            let directory = vec!["d".repeat(200); 19].join("/");
            format!("- {{objectName: {directory}, secretPath: kv/a, format: files}}\n")
        },
    ),
    ("pointers_into_a_string_of_8_mb", nested_map, || pointers(|n| format!("/s/k{n}"))),
    ("pointers_into_a_string_that_is_no_json", broken_map, || pointers(|n| format!("/s/k{n}"))),
    ("pointers_into_a_thousand_strings", thousand_strings, || pointers(|n| format!("/k{n}/1999"))),
    ("pointers_to_the_end_of_a_list", list, || pointers(|_| "/l/190000".to_owned())),
    ("strings_in_strings", strings_in_strings, || pointers(|_| format!("/s{}", "/0".repeat(500)))),
    ("quotes_as_variables", || string("'"), || objects(20, "format: dotenv")),
    ("deletes_as_properties", || string("\u{7f}"), || objects(20, "format: properties")),
    ("deletes_as_yaml", || string("\u{7f}"), || objects(20, "format: yaml")),
    ("a_key_of_4_mb_as_properties", long_key, || objects(20, "format: properties")),
    ("a_key_of_4_mb_as_a_file", long_key, || objects(1, "format: files")),
    ("a_key_of_4_mb_as_a_variable", long_key, || objects(1, "format: shell")),
    ("patterns_by_the_thousand", keys, || {
        let patterns = vec!["a"; 64].join(",");
        objects(350, &format!("format: json, include: [{patterns}], exclude: [{patterns}]"))
    }),
    ("levels_of_yaml", levels, || objects(20, "format: yaml")),
];

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = attack(suite, "small_classes_of_many_patterns", small_classes);
    ATTACKS.into_iter().fold(suite, |suite, (name, data, objects)| {
        attack(suite, name, move |mallory| mount(mallory, secret(&data()), objects()))
    })
}

/// Mounts without end, four at once.
async fn mount(mallory: Arc<Mallory>, answer: Arc<[u8]>, objects: String) {
    let vault = vault(vec![RogueAct::Write(answer)]).await;
    mallory.flood(4, |_| mallory.call(&vault, &objects)).await;
}

/// Mounts a new class each time, which is small enough to be kept.
async fn small_classes(mallory: Arc<Mallory>) {
    let vault = vault(vec![RogueAct::Write(secret(r#"{"k":"v"}"#))]).await;
    let patterns = vec!["a"; 64].join(",");
    let objects = objects(45, &format!("format: json, include: [{patterns}], exclude: [{patterns}]"));
    mallory.flood(100, |n| mallory.call(&vault, &format!("{objects}# {n}\n"))).await;
}

fn objects(number: usize, fields: &str) -> String {
    (0..number).map(|n| format!("- {{objectName: f{n}, secretPath: kv/a, {fields}}}\n")).collect()
}

fn pointers(pointer: impl Fn(usize) -> String) -> String {
    let object = |n| format!("- {{objectName: f{n}, secretPath: kv/a, jsonPointer: {}}}\n", pointer(n));
    (0..OBJECTS).map(object).collect()
}

/// Returns a map with that many members of this value.
fn numbered(number: usize, value: &str) -> String {
    let members: Vec<String> = (0..number).map(|n| format!("\"k{n}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// 60,000 keys of 100 characters, and `k1`.
fn keys() -> String {
    let members: String = (0..60_000).map(|n| format!("\"{}{n:05}\":0,", "k".repeat(95))).collect();
    format!("{{{members}\"k1\":1}}")
}

fn in_string(json: &str) -> String {
    format!("\"{}\"", json.replace('\\', "\\\\").replace('"', "\\\""))
}

fn nested_map() -> String {
    format!("{{\"s\":{}}}", in_string(&numbered(60_000, &format!("\"{}\"", "v".repeat(50)))))
}

fn broken_map() -> String {
    format!("{{\"s\":{}}}", in_string(&numbered(60_000, "\"v\"")).replace('}', ""))
}

fn thousand_strings() -> String {
    numbered(1000, &in_string(&format!("[{}0]", "0,".repeat(1999))))
}

fn list() -> String {
    format!("{{\"l\":[{}0]}}", "0,".repeat(190_000))
}

/// Lists in strings, until the escapes fill the answer.
fn strings_in_strings() -> String {
    let mut text = "0".to_owned();
    while text.len() < LARGE / 3 {
        text = in_string(&format!("[{text}]"));
    }
    format!("{{\"s\":{text}}}")
}

fn string(c: &str) -> String {
    format!("{{\"a\":\"{}\"}}", c.repeat(LARGE / c.len() - 100))
}

fn long_key() -> String {
    format!("{{\"{}\":\"v\"}}", "\u{7f}".repeat(4 << 20))
}

/// 60 levels of maps around a list of many items, each on a line of its own.
fn levels() -> String {
    let around = "{\"k\":".repeat(60);
    format!("{around}[{}0]{}", "0,".repeat(190_000), "}".repeat(60))
}
