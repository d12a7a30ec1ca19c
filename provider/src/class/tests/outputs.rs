//! The fields that say what is made of an answer: what goes together, and messages.

use super::{objects, refusal};
use crate::class::{DocumentFormat, Output, Place, Source};

fn output(fields: &str) -> Output {
    let class = objects(&format!("[{{objectName: d, secretPath: p, {fields}}}]")).expect(fields);
    match class.objects.into_iter().next().expect("an object").source {
        Source::Answer { output, .. } => output,
        Source::Template(_) => panic!("a template"),
    }
}

fn mistake(fields: &str) -> String {
    refusal(&[("objects", &format!("- objectName: d\n  secretPath: p\n  {fields}\n"))])
}

#[test]
fn every_format_is_parsed() {
    assert!(matches!(output("format: response"), Output::Response));
    assert!(matches!(output("jsonPointer: /a"), Output::Value { .. }));
    for (name, format) in [
        ("json", DocumentFormat::Json),
        ("yaml", DocumentFormat::Yaml),
        ("dotenv", DocumentFormat::Dotenv),
        ("shell", DocumentFormat::Shell),
        ("properties", DocumentFormat::Properties),
    ] {
        let parsed = output(&format!("format: {name}, exclude: [\"_*\"], include: [a, \"b?\"]"));
        assert!(matches!(parsed, Output::Document { format: found, .. } if found == format), "{name}");
    }
    assert!(
        matches!(output("format: pem, secretKey: k"), Output::Pem { keys, part } if keys.is_empty() && part.key.is_some())
    );
    assert!(
        matches!(output("format: pem, secretKey: [b, a]"), Output::Pem { keys, .. } if keys == ["b", "a"])
    );
    assert!(matches!(output("format: pem, jsonPointer: /a"), Output::Pem { .. }));
    let class = objects("[{objectName: ., secretPath: p, format: files}]").expect("a class");
    assert_eq!(class.objects[0].place, Place::Root);
    let class = objects("[{objectName: d, secretPath: p, format: files, encoding: hex}]").expect("a class");
    assert!(matches!(class.objects[0].place, Place::Directory(_)));
}

#[test]
fn a_key_in_a_list_keeps_its_text() {
    let keys = |text: &str| match output(text) {
        Output::Pem { keys, .. } => keys,
        other => panic!("{other:?}"),
    };
    assert_eq!(keys("format: pem, secretKey: [1.50, yes, 0x10]"), ["1.50", "yes", "0x10"]);
}

#[test]
fn what_does_not_go_together_is_a_mistake_with_field_and_line() {
    for (fields, message) in [
        ("format: toml", "line 3, column 3: format \"toml\" is none of response, json, yaml"),
        ("format: response\n  secretKey: k", "format response is the whole response: leave out secretKey"),
        ("format: response\n  jsonPointer: /k", "leave out jsonPointer"),
        (
            "secretKey: k\n  include: [a]",
            "line 4, column 3: include goes with formats that take several keys",
        ),
        ("exclude: [a]", "exclude goes with formats that take several keys"),
        ("format: pem\n  secretKey: k\n  include: [a]", "not with pem"),
        ("format: pem", "pem needs a secretKey"),
        ("format: pem\n  secretKey: [a]\n  jsonPointer: /x", "jsonPointer goes with one secretKey"),
        ("format: pem\n  secretKey: [a, a]", "secretKey names a key twice"),
        ("format: pem\n  secretKey: []", "secretKey is an empty list"),
        ("format: json\n  secretKey: [a]", "secretKey is a list, which goes with format: pem only"),
        ("secretKey: [a]", "secretKey is a list"),
        ("format: yaml\n  encoding: base64", "encoding goes with one value or with format: files"),
        ("encoding: base64", "encoding needs a secretKey"),
        ("jsonPointer: a", "jsonPointer does not begin with \"/\""),
        ("jsonPointer: /a~2", "jsonPointer has a \"~\""),
        ("format: files\n  include: [\"[a\"]", "include has a pattern that has a [ without its ]"),
        ("format: files\n  include: [a/b]", "include has the key \"a/b\", which is no file name"),
        ("format: files\n  include: a", "include is a text, where a list of patterns is expected"),
        ("optional: maybe", "optional \"maybe\" is neither true nor false"),
        ("optional: true\n  method: POST", "optional goes with GET and LIST only"),
        ("format: files\n  exclude: {a: b}", "exclude is a map, where a list of patterns is expected"),
        ("format: files\n  include: [[a]]", "include holds a list, where a text is expected"),
        ("format: pem\n  secretKey: [a, {b: c}]", "secretKey holds a map, where a text is expected"),
        (
            "format: pem\n  secretKey: {b: c}",
            "secretKey is a map, where a key, or a list of keys is expected",
        ),
        ("format: [json]", "format is a list, where a text is expected"),
        ("jsonPointer: [a]", "jsonPointer is a list, where a text is expected"),
        ("optional: [true]", "optional is a list, where true or false is expected"),
    ] {
        let said = mistake(fields);
        assert!(said.contains(message) && said.contains("object \"d\""), "{fields}: {said}");
    }
    let root = refusal(&[("objects", "- objectName: .\n  secretPath: p\n  format: json\n")]);
    assert!(root.contains("objectName has a \".\" or \"..\" element"), "{root}");
}

#[test]
fn lists_and_pointers_have_limits() {
    let list = |count: usize| (0..count).map(|n| format!("k{n}")).collect::<Vec<_>>().join(", ");
    for (field, format) in [("include", "files"), ("exclude", "json"), ("secretKey", "pem")] {
        let key = if field == "secretKey" { "" } else { "secretKey: k, " };
        output(&format!("format: {format}, {key}{field}: [{}]", list(64)));
        let said = mistake(&format!("format: {format}\n  {field}: [{}]", list(65)));
        assert!(said.contains(&format!("{field} has more than 64")), "{said}");
    }
    output(&format!("jsonPointer: \"/{}\"", "é".repeat(511)));
    let said = mistake(&format!("jsonPointer: \"/{}\"", "é".repeat(512)));
    assert!(said.contains("jsonPointer is longer than 1024 bytes"), "{said}");
}

#[test]
fn what_is_no_pointer_is_named_with_what_is_wrong() {
    for (pointer, message) in [
        ("replicas", "does not begin with \"/\""),
        ("#/replicas", "does not begin with \"/\""),
        ("$.replicas", "does not begin with \"/\""),
        ("/a~b", "has a \"~\""),
        ("/a~", "has a \"~\""),
    ] {
        let said = mistake(&format!("jsonPointer: \"{pointer}\""));
        assert!(said.contains(&format!("jsonPointer {message}")), "{said}");
    }
    for pointer in ["", "/", "/~0~1", "/-", "/00", "/a/b/"] {
        output(&format!("jsonPointer: \"{pointer}\""));
    }
}

#[test]
fn files_that_are_known_beforehand_do_not_collide() {
    for (text, message) in [
        (
            "[{objectName: d, secretPath: p}, {objectName: d, secretPath: q, format: files}]",
            "one of the two is a directory",
        ),
        (
            "[{objectName: d, secretPath: p}, {objectName: d/e, secretPath: q, format: files}]",
            "needs it as a directory",
        ),
        (
            "[{objectName: a, secretPath: p}, {objectName: ., secretPath: q, format: files, include: [a]}]",
            "two objects would be one file",
        ),
        (
            "[{objectName: d/a, secretPath: p}, {objectName: d, secretPath: q, format: files, include: [a]}]",
            "two objects would be one file",
        ),
    ] {
        let said = refusal(&[("objects", text)]);
        assert!(said.contains(message), "{text}: {said}");
    }
    for text in [
        "[{objectName: d, secretPath: p, format: files}, {objectName: d, secretPath: q, format: files}]",
        "[{objectName: ., secretPath: p, format: files}, {objectName: ., secretPath: q, format: files}]",
        "[{objectName: d/x, secretPath: p}, {objectName: d, secretPath: q, format: files}]",
        "[{objectName: x, secretPath: p}, {objectName: ., secretPath: q, format: files}]",
    ] {
        objects(text).expect(text);
    }
}

#[test]
fn only_new_fields_change_what_is_hashed() {
    let fingerprint = |fields: &str| {
        let class =
            objects(&format!("[{{objectName: a, secretPath: p, secretKey: k{fields}}}]")).expect(fields);
        String::from_utf8(class.objects[0].fingerprint.expose().to_vec()).expect("UTF-8")
    };
    let plain = fingerprint("");
    assert!(plain.ends_with("\"Encoding\":\"\"}"), "{plain}");
    assert_eq!(fingerprint(", optional: true"), plain);
    assert_eq!(fingerprint(", jsonPointer: \"\""), plain);
    let json = fingerprint(", format: json, include: [a, b], exclude: []");
    assert!(json.ends_with(r#","format":"json","include":["a","b"],"exclude":[]}"#), "{json}");
}
