use std::collections::BTreeMap;

use super::{FieldCause, FieldSelector, LabelSelector, SelectorError};

#[test]
fn a_name_selects_itself_alone() {
    for text in [
        "metadata.name=db",
        "metadata.name==db",
        "metadata.name=db,",
        "metadata.name=db,metadata.name=db",
        ",metadata.name==db,,metadata.name!=x",
    ] {
        let selector = FieldSelector::parse(text).expect(text);
        assert_eq!(selector.name(), Some("db"));
        assert!(selector.matches("ns", "db"));
        assert!(!selector.matches("ns", "other"));
    }
    let not = FieldSelector::parse("metadata.name!=db,metadata.namespace=ns").expect("a selector");
    assert_eq!(not.name(), None);
    assert!(not.matches("ns", "other") && !not.matches("ns", "db") && !not.matches("elsewhere", "other"));
    let empty = FieldSelector::parse("").expect("a selector");
    assert!(empty.matches("ns", "db") && empty.requirements().is_none());
}

#[test]
fn two_names_select_nothing() {
    let two = FieldSelector::parse("metadata.name=b,metadata.name=a").expect("a selector");
    assert_eq!(two.name(), Some("a"), "the first in order, as kube-apiserver authorizes it");
    assert!(!two.matches("ns", "a") && !two.matches("ns", "b"));
}

#[test]
fn a_name_that_no_object_has_is_not_authorized_by_name() {
    for text in ["metadata.name=", "metadata.name=a/b", "metadata.name=..", "metadata.name=a%"] {
        assert_eq!(FieldSelector::parse(text).expect(text).name(), None, "{text}");
    }
}

#[test]
fn escapes_are_those_of_kubernetes() {
    let selector = FieldSelector::parse("metadata.name=a\\,b\\=c\\\\").expect("a selector");
    assert!(selector.matches("ns", "a,b=c\\"));
}

#[test]
fn other_fields_and_texts_are_refused() {
    let cause = |text| match FieldSelector::parse(text) {
        Err(SelectorError::Field { cause, .. }) => cause,
        other => panic!("{text}: {other:?}"),
    };
    for text in ["data.password=x", "=x", " metadata.name=a", "metadata.name =a", "Metadata.name=a"] {
        assert!(matches!(cause(text), FieldCause::UnknownField(_)), "{text}");
    }
    assert!(matches!(cause("metadata.name"), FieldCause::NoTerm(_)));
    assert!(matches!(cause("metadata.name=a\\b"), FieldCause::Escape(_)));
    assert!(matches!(cause("metadata.name=a\\"), FieldCause::Escape(_)));
    assert!(matches!(cause("metadata.name=a=b"), FieldCause::Unescaped(_)));
}

#[test]
fn a_review_is_told_the_selectors() {
    let fields = FieldSelector::parse("metadata.name=db").expect("a selector").requirements().expect("one");
    assert_eq!((fields[0].key.as_str(), fields[0].operator.as_str()), ("metadata.name", "In"));
    let labels =
        LabelSelector::parse("a=b,c notin (d,e),!f,g>1").expect("a selector").requirements().expect("some");
    let operators: Vec<&str> = labels.iter().map(|term| term.operator.as_str()).collect();
    assert_eq!(operators, ["In", "NotIn", "DoesNotExist"]);
    assert_eq!(labels[1].values.as_deref(), Some(&["d".to_owned(), "e".to_owned()][..]));
}

#[test]
fn labels_match_as_kubernetes_documents_it() {
    let labels = [("app", "web"), ("x.io/tier", ""), ("size", "7"), ("in", "notin")];
    let labels: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    for (text, matches) in [
        ("", true),
        (" \t", true),
        ("app", true),
        ("!app", false),
        ("! other", true),
        ("app=web", true),
        ("app = web", true),
        ("app==web", true),
        ("app!=web", false),
        ("other!=web", true),
        ("app in (db, web)", true),
        ("app in(db,web)", true),
        ("app notin (db,web)", false),
        ("other notin (db)", true),
        ("app=web,x.io/tier=", true),
        ("app=web,app=db", false),
        ("x.io/tier in ()", true),
        ("x.io/tier in (a,)", true),
        ("app in (,a,,b)", false),
        ("x.io/tier in (a,,)", true),
        ("size>6,size<8", true),
        ("size>7", false),
        ("app>1", false),
        ("in=notin", true),
        ("in in (in, notin)", true),
        ("app\0", true),
    ] {
        assert_eq!(LabelSelector::parse(text).expect(text).matches(&labels), matches, "{text}");
    }
    let long = format!("a={}", "v".repeat(64));
    for text in [
        "app in db",
        "app=w b",
        "=x",
        "a in (b",
        "app>x",
        "!",
        "in (a)",
        "app between (a,b)",
        "-x=y",
        "x=-y",
        ",",
        "a,",
        "a,,b",
        "a=!b",
        "!a=b",
        "a>",
        "a/b/c",
        "/a",
        "A.io/b=",
        "a=\"b\"",
        "a===b",
        "a in b)",
        "ä",
        &long,
    ] {
        assert!(LabelSelector::parse(text).is_err(), "{text}");
    }
}
