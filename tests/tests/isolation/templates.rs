//! Templates that make much of little, or take long for it.

use std::sync::Arc;

use coffer_tests::{RogueAct, Suite};
use serde_json::json;

use crate::agent::{AgentSetup, attack};
use crate::mallory::{Mallory, secret, vault};

/// Makes the text of a template, or an answer's `data`.
type MakeText = fn() -> String;

/// A name, the number of objects with the template, the template, and the answer's `data`.
const ATTACKS: [(&str, usize, MakeText, MakeText); 7] = [
    ("ranges_in_ranges", 1000, ranges, small),
    ("a_megabyte_by_a_loop", 1000, || "{{ range 60000 }}0123456789abcdef{{ end }}".to_owned(), small),
    ("a_number_of_rounds", 100, || "{{ range 9223372036854775807 }}{{ end }}".to_owned(), small),
    ("texts_that_grow", 100, growing, small),
    (
        "eight_mb_written_five_times",
        20,
        || {
            let write =
                "{{ .Data | toJSON | indent 4 }}{{ .Data | toYAML }}{{ .Data }}{{ printf \"%q\" .Data }}";
            format!("{{{{ with secret \"kv/a\" }}}}{write}{write}{{{{ end }}}}")
        },
        large,
    ),
    (
        "each_of_many_keys",
        100,
        || {
            "{{ with secret \"kv/a\" }}{{ range $k, $v := .Data }}{{ range $l, $w := $v }}{{ end }}{{ end }}{{ end }}".to_owned()
        },
        large,
    ),
    ("sixty_four_kilobytes", 15, || "{{if 1}}{{end}}".repeat(4000), small),
];

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    ATTACKS.into_iter().fold(suite, |suite, (name, number, template, data)| {
        attack(suite, name, move |mallory| mount(mallory, secret(&data()), objects(number, &template())))
    })
}

/// Mounts without end, four at once, with a class that is new each time.
async fn mount(mallory: Arc<Mallory>, answer: Arc<[u8]>, objects: String) {
    let vault = vault(vec![RogueAct::Write(answer)]).await;
    mallory.flood(4, |n| mallory.call(&vault, &format!("{objects}# {n}\n"))).await;
}

fn objects(number: usize, template: &str) -> String {
    (0..number)
        .map(|n| format!("- {}\n", json!({ "objectName": format!("f{n}"), "template": template })))
        .collect()
}

fn ranges() -> String {
    let (begin, end) = ("{{ range $x }}".repeat(12), "{{ end }}".repeat(12));
    format!("{{{{ $x := split \",\" \"a,b,c,d,e,f,g,h,i,j\" }}}}{begin}{end}")
}

/// Makes a text eight times as long in each of twenty steps.
fn growing() -> String {
    let step = "{{ $x = replaceAll \"a\" \"aaaaaaaa\" $x }}";
    format!("{{{{ $x := \"a\" }}}}{}", step.repeat(20))
}

fn small() -> String {
    r#"{"k":"v"}"#.to_owned()
}

/// Some 4 MB in 60,000 keys.
fn large() -> String {
    let members: Vec<String> =
        (0..60_000).map(|n| format!(r#""k{n}":{{"a":"{}"}}"#, "v".repeat(50))).collect();
    format!("{{{}}}", members.join(","))
}
