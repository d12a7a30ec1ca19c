//! Classes that are large or strange, and requests that come from them.

use std::sync::Arc;

use coffer_tests::{RogueAct, Suite};

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, json, paths, secret, vault};

/// Nearly what etcd stores of one object.
const MEGABYTE: usize = 1_000_000;

/// Makes a parameter.
type MakeParameter = fn() -> String;

/// A name, and the parameter `objects`.
const OBJECTS: [(&str, MakeParameter); 9] = [
    ("yaml_of_50_000_nodes", || format!("- [{}]", "[], ".repeat(50_000))),
    ("yaml_of_half_a_million_nodes", || format!("[{}]", "a,".repeat(MEGABYTE / 2))),
    ("yaml_levels_without_end", || "[".repeat(MEGABYTE)),
    ("yaml_block_levels_without_end", || "- ".repeat(MEGABYTE / 2)),
    ("yaml_aliases_of_aliases", aliases),
    ("yaml_keys_by_the_thousand", || {
        let keys: String = (0..60_000).map(|i| format!("k{i}: v, ")).collect();
        format!("- {{{keys}}}")
    }),
    ("a_path_of_a_megabyte", || {
        format!("- {{objectName: f, secretPath: kv/{}, secretKey: k}}", "a".repeat(MEGABYTE))
    }),
    ("a_comment_of_a_megabyte", || format!("{}\n{}", paths(1), "# ".repeat(MEGABYTE / 2))),
    ("arguments_of_a_megabyte", || {
        let arguments = "a".repeat(MEGABYTE - 100);
        format!("- {{objectName: f, secretPath: kv/a, method: POST, secretArgs: {{a: {arguments}}}}}")
    }),
];

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = OBJECTS
        .into_iter()
        .fold(suite, |suite, (name, objects)| attack(suite, name, move |mallory| mount(mallory, objects())));
    let suite = attack(suite, "parameters_by_the_thousand", parameters);
    let suite = attack(suite, "roles_of_a_megabyte", |m| parameter(m, "roleName"));
    let suite = attack(suite, "tls_names_of_a_megabyte", |m| parameter(m, "vaultTLSServerName"));
    attack(suite, "errors_by_the_thousand", errors)
}

/// Mounts this class, a hundred times at once.
async fn mount(mallory: Arc<Mallory>, objects: String) {
    let vault = vault(vec![RogueAct::Write(secret(r#"{"k":"v"}"#))]).await;
    mallory.flood(100, |_| mallory.call(&vault, &objects)).await;
}

/// Each of 20 levels names the one before twice.
fn aliases() -> String {
    let level = |i| format!("- &a{} [*a{}, *a{}]\n", i + 1, i, i);
    let levels: String = (0..20).map(level).collect();
    format!("- &a0 [{}]\n{levels}", "x, ".repeat(1000))
}

async fn parameters(mallory: Arc<Mallory>) {
    let vault = vault(vec![RogueAct::Write(secret(r#"{"k":"v"}"#))]).await;
    let call = |_| {
        let call = mallory.call(&vault, &paths(1));
        (0..10_000).fold(call, |call, i| call.param(&format!("parameter{i}"), "with some value for it"))
    };
    mallory.flood(40, call).await;
}

async fn parameter(mallory: Arc<Mallory>, name: &str) {
    let vault = vault(vec![RogueAct::Write(secret(r#"{"k":"v"}"#))]).await;
    let long = "a".repeat(MEGABYTE);
    mallory.flood(60, |i| mallory.call(&vault, &paths(1)).param(name, &format!("{i}{long}"))).await;
}

/// Every mount fails, with words of the attacker's server: each is a line in the agent's log.
async fn errors(mallory: Arc<Mallory>) {
    let words = "all work and no play makes jack a dull boy ".repeat(19);
    let vault = vault(vec![RogueAct::Write(json(400, format!(r#"{{"errors":["{words}"]}}"#)))]).await;
    mallory.flood(200, |_| mallory.call(&vault, &paths(1))).await;
}
