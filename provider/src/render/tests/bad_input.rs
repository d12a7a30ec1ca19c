//! Secrets that are not as an object expects them: what is an error, and what is still right.

use super::outputs::{files, of_secret};
use super::{all_rendered, contents, stored_frames};
use crate::ErrorKind;

/// The formats that need a map.
const OF_KEYS: [&str; 4] = ["files", "dotenv", "shell", "properties"];

#[test]
fn data_that_is_no_map_is_named() {
    for (data, kind) in [("[1]", "a list"), ("\"hunter2\"", "a string"), ("7", "a number or boolean")] {
        let body = format!("{{\"data\":{data}}}");
        for format in OF_KEYS {
            let error = contents(&format!("format: {format}"), &body).expect_err(format);
            assert_eq!(error.kind, ErrorKind::BadAnswer);
            assert!(error.to_string().contains(&format!("the data is {kind}")), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(contents("format: json", &body).expect("any value"), format!("{data}\n"));
        let filtered = contents("format: json, exclude: [a]", &body).expect_err("a filter needs a map");
        assert_eq!(filtered.kind, ErrorKind::BadAnswer);
    }
    // a string that is JSON, but no map
    for text in ["[1]", "null", "7", "\\\"a\\\"", "", "{\\\"a\\\":1} x"] {
        let secret = format!("{{\"s\":\"{text}\"}}");
        let error = of_secret("format: dotenv, secretKey: s", &secret).expect_err(text);
        assert!(error.to_string().contains("the data is a string"), "{error}");
    }
}

#[test]
fn an_answer_without_data_is_no_empty_file() {
    for body in ["{}", r#"{"data":null}"#, r#"{"data":{"data":null,"metadata":{"version":2}}}"#] {
        for format in ["json", "yaml", "dotenv", "shell", "properties", "files", "pem, secretKey: k"] {
            let error = contents(&format!("format: {format}"), body).expect_err(format);
            assert_eq!(error.kind, ErrorKind::NotFound, "{format}: {error}");
        }
    }
}

#[test]
fn an_empty_secret_is_an_empty_file_but_no_files() {
    for (format, expected) in
        [("json", "{}\n"), ("yaml", "{}\n"), ("dotenv", ""), ("shell", ""), ("properties", "")]
    {
        assert_eq!(of_secret(&format!("format: {format}"), "{}").expect(format), expected);
        // no key is left
        let fields = format!("format: {format}, include: [\"z*\"]");
        assert_eq!(of_secret(&fields, r#"{"a":"b"}"#).expect(format), expected);
        assert_eq!(
            of_secret(&format!("format: {format}, exclude: [\"*\"]"), r#"{"a":1}"#).expect(format),
            expected
        );
    }
    for fields in ["format: files", "format: files, include: [\"z*\"]", "format: files, exclude: [\"*\"]"] {
        let secret = if fields.contains('[') { r#"{"a":"b"}"# } else { "{}" };
        let error = files(fields, secret).expect_err(fields);
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.to_string().contains("the secret has no key that would be a file"), "{error}");
    }
    assert!(files("format: files", r#"{"a":null}"#).is_err(), "null is a missing key");
}

#[test]
fn null_is_a_missing_key_for_all_but_json_and_yaml() {
    let secret = r#"{"a":null,"b":"v"}"#;
    for (format, expected) in [
        ("dotenv", "b='v'\n"),
        ("shell", "export b='v'\n"),
        ("properties", "b=v\n"),
        ("json", "{\"a\":null,\"b\":\"v\"}\n"),
    ] {
        assert_eq!(of_secret(&format!("format: {format}"), secret).expect(format), expected);
    }
    for fields in [
        "format: dotenv, include: [a]",
        "format: files, include: [a, b]",
        "format: json, secretKey: a",
        "format: pem, secretKey: a",
        "format: pem, secretKey: [a]",
        "jsonPointer: /a",
        "secretKey: a, jsonPointer: /x",
    ] {
        assert_eq!(of_secret(fields, secret).expect_err(fields).kind, ErrorKind::NotFound, "{fields}");
    }
    assert_eq!(of_secret("format: json, include: [a]", secret).expect("a key"), "{\"a\":null}\n");
}

#[test]
fn the_length_of_a_file_name_is_counted_in_bytes() {
    for (key, fits) in [
        (format!("{}k", "é".repeat(127)), true),
        ("é".repeat(128), false),
        ("😀".repeat(63), true),
        ("😀".repeat(64), false),
    ] {
        let found = files("format: files", &format!("{{\"{key}\":\"v\"}}"));
        assert_eq!(found.is_ok(), fits, "{} bytes", key.len());
        // only a file's name has that limit
        of_secret("format: yaml", &format!("{{\"{key}\":\"v\"}}")).expect("a document");
    }
}

#[test]
fn values_stand_in_every_format_as_they_are() {
    let value = r#"'\"`$HOME ${X} $(id) \\n\n\t\r #; = é 😀"#;
    let text = "'\"`$HOME ${X} $(id) \\n\n\t\r #; = é 😀";
    let secret = format!("{{\"K\":\"{value}\"}}");
    let quoted = text.replace('\'', "'\"'\"'");
    for (format, expected) in [
        ("dotenv", format!("K='{quoted}'\n")),
        ("shell", format!("export K='{quoted}'\n")),
        ("yaml", format!("K: \"{value}\"\n")),
        ("json", format!("{{\"K\":\"{value}\"}}\n")),
    ] {
        assert_eq!(of_secret(&format!("format: {format}"), &secret).expect(format), expected);
    }
    assert_eq!(files("format: files", &secret).expect("files"), [("f/K".to_owned(), text.to_owned())]);
    for format in ["dotenv", "shell"] {
        let error = of_secret(&format!("format: {format}"), r#"{"K":"hunter\u00002"}"#).expect_err(format);
        assert!(
            error.to_string().contains("exclude: [\"K\"]") && !error.to_string().contains("hunter"),
            "{error}"
        );
        // a list or map escapes it
        let list = of_secret(&format!("format: {format}"), r#"{"K":["\u0000"]}"#).expect(format);
        assert!(list.ends_with("K='[\"\\u0000\"]'\n"), "{list}");
    }
    for (format, expected) in
        [("properties", "K=\\u0000\n"), ("yaml", "K: \"\\x00\"\n"), ("json", "{\"K\":\"\\u0000\"}\n")]
    {
        assert_eq!(of_secret(&format!("format: {format}"), r#"{"K":"\u0000"}"#).expect(format), expected);
    }
}

#[test]
fn a_chain_may_be_a_string_and_stands_without_the_text_around_it() {
    let block = "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----";
    let written = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let secret = format!(
        "{{\"chain\":\"subject=a\\r\\n{block}\\n\\n# b\\n{block}\\n\\n\",\"list\":[\"{block}\",[\"{block}\"]]}}"
    );
    assert_eq!(of_secret("format: pem, secretKey: chain", &secret).expect("blocks"), written.repeat(2));
    assert_eq!(of_secret("format: pem, secretKey: [chain]", &secret).expect("blocks"), written.repeat(2));
    let nested = of_secret("format: pem, secretKey: list", &secret).expect_err("a list in a list");
    assert!(nested.to_string().contains("neither a string nor a list of strings"), "{nested}");
    for (value, message) in [
        ("\"hunter2\"", "holds no PEM block"),
        ("\"\"", "holds no PEM block"),
        ("\"-----BEGIN X-----\\nhunter2\"", "holds a PEM block without its end"),
        (r#""-----BEGIN X-----\\nhunter2\\n-----END X-----\\n""#, "holds no PEM block, but \\n"),
        ("{}", "neither a string nor a list of strings"),
        ("7", "neither a string nor a list of strings"),
    ] {
        let secret = format!("{{\"a\":{value}}}");
        for fields in ["secretKey: a", "secretKey: [a]", "jsonPointer: /a"] {
            let error = of_secret(&format!("format: pem, {fields}"), &secret).expect_err(value);
            assert_eq!(error.kind, ErrorKind::BadAnswer);
            assert!(error.to_string().contains(message), "{fields}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn the_last_of_two_equal_keys_counts_everywhere() {
    let secret = r#"{"a":"first","b":{"c":1,"c":2},"a":"last"}"#;
    for (fields, expected) in [
        ("secretKey: a", "last"),
        ("jsonPointer: /a", "last"),
        ("jsonPointer: /b/c", "2"),
        ("format: json", "{\"a\":\"last\",\"b\":{\"c\":2}}\n"),
        ("format: yaml", "a: last\nb:\n  c: 2\n"),
        ("format: dotenv", "a='last'\nb='{\"c\":2}'\n"),
    ] {
        assert_eq!(of_secret(fields, secret).expect(fields), expected, "{fields}");
    }
    assert_eq!(
        files("format: files, include: [a]", secret).expect("files"),
        [("f/a".to_owned(), "last".to_owned())]
    );
}

#[test]
fn numbers_of_any_length_keep_their_digits_on_every_way() {
    let digits = "9".repeat(5000);
    for number in
        [digits.clone(), format!("-0.{digits}e-{}", "1".repeat(400)), "-0".to_owned(), "1E+2".to_owned()]
    {
        let secret = format!("{{\"n\":{number},\"l\":[{number}],\"s\":\"{{\\\"n\\\":{number}}}\"}}");
        for (fields, expected) in [
            ("secretKey: n", number.clone()),
            ("jsonPointer: /l/0", number.clone()),
            ("jsonPointer: /s/n", number.clone()),
            ("jsonPointer: /l", format!("[{number}]")),
            ("format: properties, include: [n]", format!("n={number}\n")),
            ("format: shell, include: [l]", format!("export l='[{number}]'\n")),
            ("format: yaml, include: [l]", format!("l:\n- {number}\n")),
        ] {
            assert_eq!(of_secret(fields, &secret).expect(fields), expected, "{fields}");
        }
    }
}

#[test]
fn a_pointer_through_what_is_no_map_or_list_finds_nothing() {
    let secret =
        r#"{"n":7,"b":true,"z":null,"l":[],"m":{},"empty":"","text":"hunter2","json":" [1] ","s":"\"x\""}"#;
    for (pointer, kind) in [
        ("/n/0", ErrorKind::NotFound),
        ("/b/x", ErrorKind::NotFound),
        ("/z/x", ErrorKind::NotFound),
        ("/l/0", ErrorKind::NotFound),
        ("/l/-", ErrorKind::NotFound),
        ("/m/", ErrorKind::NotFound),
        ("/", ErrorKind::NotFound),
        ("/json/1", ErrorKind::NotFound),
        ("/json/00", ErrorKind::NotFound),
        ("/s/x", ErrorKind::BadAnswer),
        ("/empty/x", ErrorKind::BadAnswer),
        ("/text/x", ErrorKind::BadAnswer),
    ] {
        let error = of_secret(&format!("jsonPointer: {pointer}"), secret).expect_err(pointer);
        assert_eq!(error.kind, kind, "{pointer}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let body = format!("{{\"data\":{secret}}}");
        let optional =
            all_rendered(&format!("optional: true, jsonPointer: {pointer}"), &body, &stored_frames());
        assert_eq!(
            optional.is_ok(),
            kind == ErrorKind::NotFound,
            "{pointer}: only what is absent is optional"
        );
    }
    assert_eq!(of_secret("jsonPointer: /json/0", secret).expect("a value"), "1");
    assert_eq!(of_secret("jsonPointer: /s", secret).expect("a value"), "\"x\"");
    assert_eq!(of_secret("jsonPointer: //", r#"{"":{"":1}}"#).expect("the empty key"), "1");
}

#[test]
fn files_beyond_the_limits_are_refused_whole() {
    let large = "x".repeat(300_000);
    let secret = format!("{{\"a\":\"{large}\",\"b\":\"{large}\",\"c\":\"{large}\",\"d\":\"{large}\"}}");
    for format in ["json", "yaml", "dotenv", "shell", "properties"] {
        let error = of_secret(&format!("format: {format}"), &secret).expect_err(format);
        assert_eq!(error.kind, ErrorKind::TooLarge, "{format}: {error}");
    }
    let many: Vec<String> = (0..1001).map(|n| format!("\"k{n}\":\"\"")).collect();
    let secret = format!("{{{}}}", many.join(","));
    let error = files("format: files", &secret).expect_err("too many");
    assert!(error.to_string().contains("there would be 1001 files, more than 1000"), "{error}");
    assert_eq!(files("format: files, exclude: [k0]", &secret).expect("files").len(), 1000);
}
