//! Runs the examples of docs/output.md: a secret (`json`), objects (`yaml`), and for each of their
//! files a block (`text`) below a line that begins with the file's path.

use std::collections::BTreeMap;

use coffer_tests::{CodeBlock, MarkdownDocument, OpenBaoSetup, Suite};
use serde_json::Value;

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite.test("each_format_gives_the_bytes_that_the_page_shows", |_| {
        each_format_gives_the_bytes_that_the_page_shows()
    })
}

const PAGE: &str = "docs/output.md";

/// A secret, objects, and the files that they make.
#[derive(Debug)]
struct Example {
    place: String,
    secret: Value,
    objects: String,
    files: BTreeMap<String, String>,
}

async fn each_format_gives_the_bytes_that_the_page_shows() {
    let setup = OpenBaoSetup::start().await;
    let examples = examples();
    for Example { place, secret, objects, files } in &examples {
        let list: Value = serde_saphyr::from_str(objects).unwrap();
        let path = list[0]["secretPath"].as_str().unwrap();
        setup.bao.kv_put(path.strip_prefix("secret/data/").unwrap(), secret.clone()).await;
        let mounted = setup.mount(objects).await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let found = mounted.files.keys().map(|path| (path.clone(), mounted.text(path).to_owned())).collect();
        assert_eq!(files, &found, "{place}");
    }
    let all: String = examples.iter().map(|example| example.objects.as_str()).collect();
    for format in ["json", "yaml", "dotenv", "shell", "properties", "pem", "files"] {
        assert!(all.contains(&format!("format: {format}\n")), "no example of {format}");
    }
}

fn examples() -> Vec<Example> {
    let document = MarkdownDocument { path: PAGE.to_owned(), text: MarkdownDocument::read(PAGE) };
    let mut examples: Vec<Example> = Vec::new();
    let mut secret = None;
    for block in document.blocks() {
        match block.language.as_str() {
            "json" => secret = Some(serde_json::from_str(&block.text).unwrap()),
            "yaml" => examples.push(Example {
                place: block.place(),
                secret: secret.take().unwrap_or_else(|| panic!("{}: no secret above it", block.place())),
                objects: block.text,
                files: BTreeMap::new(),
            }),
            _ => {
                let files = files_of(&document, &block);
                assert!(!files.is_empty(), "{}: no file's path above it", block.place());
                examples.last_mut().unwrap().files.extend(files);
            }
        }
    }
    examples
}

/// Returns the files that a block shows, by the line above it: one, or several with the same text.
fn files_of(document: &MarkdownDocument, block: &CodeBlock) -> Vec<(String, String)> {
    // the fence is the line before the block's first
    let above: Vec<&str> = document.text.lines().take(block.line - 2).collect();
    let label = above.into_iter().rfind(|line| !line.is_empty()).unwrap_or_default();
    let names = label.split([',', ':']).next().unwrap_or_default().split('`').skip(1).step_by(2);
    let text = if label.contains("without a newline at") {
        block.text.strip_suffix('\n').unwrap_or(&block.text)
    } else {
        &block.text
    };
    names.map(|name| (name.to_owned(), text.to_owned())).collect()
}
