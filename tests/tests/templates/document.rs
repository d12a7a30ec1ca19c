//! `docs/templates.md`: its examples, and its list of what Coffer alone refuses.

use coffer_tests::MarkdownDocument;

use crate::answers::Answers;
use crate::compared::{TemplateText, by_coffer, compare};

/// A message of a fault, with `…` for what differs.
pub(crate) struct RefusalMessage(Vec<String>);

impl RefusalMessage {
    /// Returns whether a fault has this message.
    pub(crate) fn is_in(&self, fault: &str) -> bool {
        let mut rest = fault;
        self.0.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

/// Returns the messages of the table "What Coffer alone refuses".
pub(crate) fn refusals() -> Vec<RefusalMessage> {
    let document = MarkdownDocument::read("docs/templates.md");
    let section = document.split("## What Coffer alone refuses").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let messages = rows.map(|row| RefusalMessage(row.split('…').map(str::to_owned).collect()));
    let messages: Vec<_> = messages.collect();
    assert!(messages.len() > 10, "{} messages", messages.len());
    messages
}

/// Returns the rows of the page that have a template and its result.
fn examples() -> Vec<(String, String)> {
    let document = MarkdownDocument::read("docs/templates.md");
    let cell = |cell: &str| cell.trim().trim_matches('`').replace("\\|", "|").trim().to_owned();
    let rows = document.lines().filter(|line| line.starts_with("| `{{"));
    rows.map(|row| {
        let row = row.replace("\\|", "\u{1}");
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        (cell(&cells[0].replace('\u{1}', "|")), cell(&cells[1].replace('\u{1}', "|")))
    })
    .collect()
}

#[test]
fn the_examples_of_the_document_give_what_it_says() {
    let examples = examples();
    assert!(examples.len() > 30, "{} examples", examples.len());
    let answers = Answers::new();
    let texts = examples.iter().map(|(text, _)| TemplateText {
        text: format!("{{{{ with secret \"kv/app\" }}}}{text}{{{{ end }}}}"),
        error_on_missing_key: true,
        delimiters: ("", ""),
    });
    let texts: Vec<_> = texts.collect();
    for (text, (_, wanted)) in texts.iter().zip(&examples) {
        let made = by_coffer(text, &answers).map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert_eq!(made.as_deref().map(str::trim), Ok(wanted.replace('⏎', "\n").as_str()), "{}", text.text);
    }
    for text in compare(texts) {
        assert!(!text.is_wrong(), "{}", text.description());
    }
}

#[test]
fn what_the_document_refuses_is_refused() {
    let document = MarkdownDocument::read("docs/templates.md");
    let section = document.split("## What is refused").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("a section");
    let names: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).expect("a cell").split(','))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect();
    assert!(names.len() > 40, "{} names", names.len());
    for name in names {
        let text = format!("{{{{ {name} . }}}}");
        let text = TemplateText { text, error_on_missing_key: true, delimiters: ("", "") };
        let fault = by_coffer(&text, &Answers::new()).expect_err(&name);
        assert!(fault.starts_with(&format!("line 1, column 4: {name} is not supported: ")), "{fault}");
    }
}
