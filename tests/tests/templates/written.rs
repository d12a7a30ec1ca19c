//! The templates of `texts.txt`: constructs and functions, alone and combined.

use crate::compared::{TemplateText, compare};
use crate::document::refusals;

/// Stands for a line break in a template of the file.
const LINE_BREAK: &str = "⏎";

/// Returns the templates of the file, each both with and without errors for missing keys.
fn texts() -> Vec<TemplateText> {
    let file = include_str!("texts.txt");
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with("## "));
    let text = |line: &str, error_on_missing_key| TemplateText {
        text: line.replace(LINE_BREAK, "\n"),
        error_on_missing_key,
        delimiters: ("", ""),
    };
    lines.flat_map(|line| [text(line, true), text(line, false)]).collect()
}

#[test]
fn written_templates_give_the_bytes_of_go() {
    let texts = texts();
    assert!(texts.len() >= 600, "{} templates", texts.len() / 2);
    let compared = compare(texts);
    let rendered = compared.iter().filter(|text| text.own.is_ok()).count();
    assert!(rendered > compared.len() / 2, "{rendered} of {} are rendered", compared.len());
    let refusals = refusals();
    let wrong = compared.iter().filter(|text| {
        text.is_wrong() || text.own_fault().is_some_and(|fault| !refusals.iter().any(|r| r.is_in(fault)))
    });
    let wrong: Vec<_> = wrong.map(|text| text.description()).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn other_delimiters_give_the_bytes_of_go() {
    let mut texts = Vec::new();
    for delimiters in
        [("[[", "]]"), ("<<", ">>"), ("{%", "%}"), ("%", "%"), ("{", "}"), ("((", "))"), ("[[", "")]
    {
        let (left, right) = (delimiters.0, if delimiters.1.is_empty() { "}}" } else { delimiters.1 });
        for text in [
            "a L- with secret \"kv/app\" -R b L .Data.user R L- end R c",
            "L/* {{ comment }} */R{{ .x }}L (print 1 2) R",
            "L- /* c */ -R  x L\"}}\"RL\"%\"R",
            "Lrange $i, $v := split \",\" \"a,b\"RL$iR=L$vR;LendR",
            "L if true RyesL else RnoL end R L- 1 -R",
            "L 1.5R L.5RL'a'R",
        ] {
            let text = text.replace('L', left).replace('R', right);
            texts.push(TemplateText { text, error_on_missing_key: true, delimiters });
        }
    }
    let compared = compare(texts);
    assert!(compared.iter().filter(|text| text.own.is_ok()).count() > compared.len() / 2);
    let differ = compared.iter().filter(|text| text.is_wrong() || text.own_fault().is_some());
    let wrong: Vec<_> = differ.map(|text| text.description()).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
