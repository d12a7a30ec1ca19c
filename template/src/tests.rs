//! Tests of the tree.

use crate::tree::{OperandKind, TemplateNode};
use crate::{Delimiters, TemplatePlace, TemplateProblem, parse_tree};

fn nodes(text: &str) -> Vec<TemplateNode> {
    parse_tree(text, &Delimiters::default()).expect("a template")
}

fn problem(text: &str) -> (usize, usize, String) {
    let fault = parse_tree(text, &Delimiters::default()).expect_err("a fault");
    (fault.place.line, fault.place.column, fault.problem.to_string())
}

#[test]
fn trim_markers_and_comments_leave_no_text() {
    let text = |node: &TemplateNode| match node {
        TemplateNode::Text(text) => text.clone(),
        _ => "·".to_owned(),
    };
    for (template, texts) in [
        ("a {{- . -}} b", "a|·|b"),
        ("a {{/* c */}} b", "a | b"),
        ("a {{- /* c */ -}} b", "a|b"),
        ("a {{-1}} b", "a |·| b"),
        ("\n{{- . }}\n", "·|\n"),
    ] {
        assert_eq!(nodes(template).iter().map(text).collect::<Vec<_>>().join("|"), texts, "{template}");
    }
}

#[test]
fn other_delimiters_are_those_of_actions() {
    let delimiters = Delimiters::new("[[", "]]").expect("delimiters");
    let nodes = parse_tree("{{ a }} [[ .b ]]", &delimiters).expect("a template");
    assert_eq!(nodes.len(), 2);
    assert!(Delimiters::new(" ", "").is_err() && Delimiters::new("", &"}".repeat(17)).is_err());
}

#[test]
fn literals_are_those_of_go() {
    for (literal, wanted) in [(r#""a\t\x41\101\u00e9\"""#, "a\tAAé\""), (r"`a\t`", "a\\t")] {
        let nodes = nodes(&format!("{{{{ {literal} }}}}"));
        let TemplateNode::Action(pipeline) = &nodes[0] else { panic!("an action") };
        assert_eq!(pipeline.commands[0].operands[0].kind, OperandKind::Text(wanted.into()), "{literal}");
    }
    for (literal, whole, is_float) in [
        ("0x1F", Some(31), false),
        ("-0x1e", Some(-30), true),
        ("017", Some(15), false),
        ("0b1_0", Some(2), false),
        ("'a'", Some(97), false),
        ("'\\xff'", Some(255), false),
        ("1.0", Some(1), true),
        ("1.5e1", Some(15), true),
        (".25", None, true),
    ] {
        let nodes = nodes(&format!("{{{{ {literal} }}}}"));
        let TemplateNode::Action(pipeline) = &nodes[0] else { panic!("an action") };
        let OperandKind::Number(number) = pipeline.commands[0].operands[0].kind else { panic!("a number") };
        assert_eq!((number.whole, number.is_float), (whole, is_float), "{literal}");
    }
}

#[test]
fn faults_have_line_and_column() {
    for (template, line, column, message) in [
        ("a\nb {{ env \"X\" }}", 2, 6, "env is not supported"),
        ("{{ toJSN . }}", 1, 4, "there is no function toJSN; did you mean toJSON?"),
        ("é {{ zzzzzz }}", 1, 6, "there is no function zzzzzz"),
        ("{{ if . }}", 1, 4, "if has no {{ end }}"),
        ("{{ end }}", 1, 4, "end belongs to no block"),
        ("{{ define \"x\" }}", 1, 4, "define is not supported"),
        ("{{ break }}", 1, 4, "break is outside a range"),
        ("{{ \"a }}", 1, 4, "the text in \" is not closed"),
        ("{{ (1 }}", 1, 7, "a parenthesis is not closed"),
        ("{{ 1 | 2 }}", 1, 8, "what follows | must be a function"),
        ("{{ $a, $b := . }}", 1, 6, "only a range has two variables"),
        ("{{ }}", 1, 4, "an action has no value"),
    ] {
        let (found_line, found_column, found) = problem(template);
        assert_eq!((found_line, found_column), (line, column), "{template}: {found}");
        assert!(found.starts_with(message), "{template}: {found}");
    }
}

#[test]
fn hostile_texts_are_refused_at_once() {
    let deep = "{{if .}}".repeat(65);
    let parentheses = format!("{{{{ {}1", "(".repeat(65));
    for text in [&deep, &parentheses] {
        let fault = parse_tree(text, &Delimiters::default()).expect_err("too deep");
        assert_eq!(fault.problem, TemplateProblem::TooDeep);
    }
    let open = "{{".repeat(32 << 10);
    assert!(parse_tree(&open, &Delimiters::default()).is_err());
    assert!(parse_tree(&"x".repeat(65_537), &Delimiters::default()).is_err());
    let chain = format!("{{{{if .}}}}{}{{{{end}}}}", "{{else if .}}".repeat(4000));
    assert_eq!(nodes(&chain).len(), 1);
}

#[test]
fn a_place_counts_characters() {
    assert_eq!(TemplatePlace::of("é\nüx", 5), TemplatePlace { line: 2, column: 2 });
    assert_eq!(TemplatePlace::of("", 9), TemplatePlace { line: 1, column: 1 });
}
