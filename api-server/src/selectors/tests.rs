use std::collections::BTreeMap;

use super::{FieldSelector, LabelSelector, SelectorError};

#[test]
fn a_name_selects_itself_alone() {
    for text in ["metadata.name=db", "metadata.name==db", " metadata.name = db ,"] {
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
fn other_fields_and_two_names_are_refused() {
    for text in ["data.password=x", "metadata.name", "metadata.name=a=b", "metadata.name=a\\,b", "=x"] {
        assert!(matches!(FieldSelector::parse(text), Err(SelectorError::Field(_))), "{text}");
    }
    let two = FieldSelector::parse("metadata.name=a,metadata.name=b");
    assert_eq!(two, Err(SelectorError::FieldTwice("metadata.name")));
}

#[test]
fn a_review_is_told_the_selectors() {
    let fields = FieldSelector::parse("metadata.name=db").expect("a selector").requirements().expect("one");
    assert_eq!((fields[0].key.as_str(), fields[0].operator.as_str()), ("metadata.name", "In"));
    let labels =
        LabelSelector::parse("a=b,c notin (d,e),!f").expect("a selector").requirements().expect("some");
    let operators: Vec<&str> = labels.iter().map(|term| term.operator.as_str()).collect();
    assert_eq!(operators, ["In", "NotIn", "DoesNotExist"]);
    assert_eq!(labels[1].values.as_deref(), Some(&["d".to_owned(), "e".to_owned()][..]));
}

#[test]
fn labels_match_as_kubernetes_documents_it() {
    let labels =
        BTreeMap::from([("app".to_owned(), "web".to_owned()), ("x.io/tier".to_owned(), String::new())]);
    for (text, matches) in [
        ("", true),
        ("app", true),
        ("!app", false),
        ("app=web", true),
        ("app==web", true),
        ("app!=web", false),
        ("other!=web", true),
        ("app in (db, web)", true),
        ("app notin (db,web)", false),
        ("other notin (db)", true),
        ("app=web,x.io/tier=", true),
        ("app=web,app=db", false),
        ("x.io/tier in ()", true),
    ] {
        assert_eq!(LabelSelector::parse(text).expect(text).matches(&labels), matches, "{text}");
    }
    for text in ["app in db", "app=w b", "=x", "a in (b", "app>1", "!", "in (a)", "app between (a,b)"] {
        assert!(LabelSelector::parse(text).is_err(), "{text}");
    }
}
