//! The formats, and the parts of the data that go into them.

use super::{all_rendered, contents, stored_frames};
use crate::{Error, ErrorKind};

/// Returns the file of an object over a KV v2 secret.
pub(super) fn of_secret(fields: &str, secret: &str) -> Result<String, Error> {
    contents(fields, &format!(r#"{{"data":{{"data":{secret},"metadata":{{"version":1}}}}}}"#))
}

/// Returns path and content of each file.
pub(super) fn files(fields: &str, secret: &str) -> Result<Vec<(String, String)>, Error> {
    let body = format!(r#"{{"data":{{"data":{secret},"metadata":{{"version":1}}}}}}"#);
    let files = all_rendered(fields, &body, &stored_frames())?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Ok(files.into_iter().map(|file| (file.path, text(file.contents.expose()))).collect())
}

const SECRET: &str = r#"{"b":"it's <\"$x\">\n","a":1.50,"c":{"z":[1,"é"],"y":null},"d":null,"e":true}"#;

#[test]
fn documents_have_sorted_keys_and_no_envelope() {
    for (format, expected) in [
        (
            "json",
            "{\"a\":1.50,\"b\":\"it's <\\\"$x\\\">\\n\",\"c\":{\"y\":null,\"z\":[1,\"é\"]},\"d\":null,\"e\":true}\n",
        ),
        (
            "yaml",
            "a: 1.50\nb: \"it's <\\\"$x\\\">\\n\"\nc:\n  \"y\": null\n  z:\n  - 1\n  - \"é\"\nd: null\ne: true\n",
        ),
        ("dotenv", "a='1.50'\nb='it'\"'\"'s <\"$x\">\n'\nc='{\"y\":null,\"z\":[1,\"é\"]}'\ne='true'\n"),
        (
            "shell",
            "export a='1.50'\nexport b='it'\"'\"'s <\"$x\">\n'\nexport c='{\"y\":null,\"z\":[1,\"é\"]}'\nexport e='true'\n",
        ),
        ("properties", "a=1.50\nb=it's <\"$x\">\\n\nc={\"y\"\\:null,\"z\"\\:[1,\"\\u00E9\"]}\ne=true\n"),
    ] {
        assert_eq!(of_secret(&format!("format: {format}"), SECRET).expect(format), expected, "{format}");
    }
}

#[test]
fn yaml_quotes_what_a_parser_would_read_as_something_else() {
    for plain in ["abc", "a b", "/run/x-1.2", "_x", "user@host"] {
        let yaml = of_secret("format: yaml", &format!(r#"{{"k":"{plain}"}}"#)).expect(plain);
        assert_eq!(yaml, format!("k: {plain}\n"));
    }
    for quoted in [
        "",
        "yes",
        "No",
        "NULL",
        "~",
        "1",
        "0x1",
        "1e3",
        ".inf",
        "2020-01-01",
        "a: b",
        "a #b",
        "- a",
        "-",
        "?",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "a ",
        " a",
        "a  b",
        "[a]",
        "{a}",
        "'a'",
        "=",
        "<<",
        "12:30:45",
        "y",
        "on",
    ] {
        let yaml = of_secret("format: yaml", &format!(r#"{{"k":"{quoted}"}}"#)).expect(quoted);
        assert_eq!(yaml, format!("k: \"{quoted}\"\n"));
    }
    let odd = of_secret("format: yaml", r#"{"k":"\u0000\u0007\u0085\u00a0\u2028\ufeff\ud83d\ude00"}"#)
        .expect("odd");
    assert_eq!(odd, "k: \"\\x00\\x07\\x85\\u00a0\\u2028\\ufeff😀\"\n");
    let nested =
        of_secret("format: yaml", r#"{"a":[[],[1,[2]],{},{"x":[{"y":1,"z":2}]}],"no":{}}"#).expect("nested");
    assert_eq!(nested, "a:\n- []\n- - 1\n  - - 2\n- {}\n- x:\n  - \"y\": 1\n    z: 2\n\"no\": {}\n");
    let long = "k".repeat(1100);
    assert_eq!(
        of_secret("format: yaml", &format!(r#"{{"{long}":{{"a":1}}}}"#)).expect("a long key"),
        format!("? {long}\n:\n  a: 1\n")
    );
}

#[test]
fn numbers_keep_their_digits() {
    let number = "123456789012345678901234567890.10e-400";
    let secret = format!(r#"{{"n":{number}}}"#);
    for (fields, expected) in [
        ("format: json", format!("{{\"n\":{number}}}\n")),
        ("format: yaml", format!("\"n\": {number}\n")),
        ("format: dotenv", format!("n='{number}'\n")),
        ("jsonPointer: /n", number.to_owned()),
    ] {
        assert_eq!(of_secret(fields, &secret).expect(fields), expected);
    }
}

#[test]
fn include_and_exclude_choose_keys() {
    let secret = r#"{"db_host":"h","db_old":"o","user":"u","_x":"x"}"#;
    let json = |fields: &str| of_secret(&format!("format: json, {fields}"), secret);
    assert_eq!(
        json("exclude: [\"_*\"]").expect("keys"),
        "{\"db_host\":\"h\",\"db_old\":\"o\",\"user\":\"u\"}\n"
    );
    assert_eq!(json("include: [\"db_*\"], exclude: [\"*old\"]").expect("keys"), "{\"db_host\":\"h\"}\n");
    assert_eq!(json("include: [\"z*\"]").expect("keys"), "{}\n", "a pattern may match nothing");
    let missing = json("include: [user, pass]").expect_err("a missing key");
    assert_eq!(missing.kind, ErrorKind::NotFound);
    assert!(missing.to_string().contains("the secret has no key \"pass\""), "{missing}");
    assert_eq!(of_secret("format: dotenv", "{}").expect("an empty file"), "");
}

#[test]
fn a_pointer_leads_through_maps_lists_and_strings_of_json() {
    let secret = r#"{"a":{"b/c":[{"~":"x"},null]},"s":"{\"t\":\"[10,{\\\"u\\\":\\\"deep\\\"}]\"}","text":"no json","01":"one"}"#;
    for (pointer, expected) in [
        ("/a/b~1c/0/~0", "x"),
        ("/s/t/0", "10"),
        ("/s/t/1/u", "deep"),
        ("/a/b~1c/0", "{\"~\":\"x\"}"),
        ("/01", "one"),
        ("/s", "{\"t\":\"[10,{\\\"u\\\":\\\"deep\\\"}]\"}"),
    ] {
        assert_eq!(
            of_secret(&format!("jsonPointer: {pointer}"), secret).expect(pointer),
            expected,
            "{pointer}"
        );
    }
    assert_eq!(of_secret("secretKey: s, jsonPointer: /t/1/u", secret).expect("a value"), "deep");
    for (pointer, kind, message) in [
        ("/a/b~1c/00", ErrorKind::NotFound, "there is nothing at \"/a/b~1c/00\""),
        ("/a/b~1c/-", ErrorKind::NotFound, "nothing at"),
        ("/a/b~1c/7", ErrorKind::NotFound, "nothing at"),
        ("/a/b~1c/1", ErrorKind::NotFound, "nothing at"),
        ("/x/y", ErrorKind::NotFound, "there is nothing at \"/x\""),
        ("/text/y", ErrorKind::BadAnswer, "at \"/text\" is a string that is no JSON"),
    ] {
        let error = of_secret(&format!("jsonPointer: {pointer}"), secret).expect_err(pointer);
        assert_eq!(error.kind, kind, "{pointer}: {error}");
        assert!(error.to_string().contains(message), "{pointer}: {error}");
        assert!(!error.to_string().contains("no json"), "{error}");
    }
    let map =
        of_secret("format: dotenv, secretKey: s", r#"{"s":"{\"A\":\"b\"}"}"#).expect("a map in a string");
    assert_eq!(map, "A='b'\n");
}

#[test]
fn each_key_is_a_file() {
    let found = files("format: files", SECRET).expect("files");
    let expected = [
        ("f/a", "1.50"),
        ("f/b", "it's <\"$x\">\n"),
        ("f/c", "{\"y\":null,\"z\":[1,\"é\"]}"),
        ("f/e", "true"),
    ];
    assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let decoded = files("format: files, encoding: base64, include: [\"k*\"]", r#"{"k":"aGk=","x":"!"}"#);
    assert_eq!(decoded.expect("files"), [("f/k".to_owned(), "hi".to_owned())]);
    let bad = files("format: files, encoding: hex", r#"{"k":"hunter2"}"#).expect_err("no hex");
    assert!(bad.to_string().contains("key \"k\": the value is not hexadecimal"), "{bad}");
    assert!(!bad.to_string().contains("hunter2"), "{bad}");
}

#[test]
fn keys_that_do_not_fit_are_named() {
    let long = "k".repeat(256);
    for key in ["", "a/b", ".", "..x", " a", "a\\n", &long] {
        let error = files("format: files", &format!(r#"{{"{key}":"hunter2"}}"#)).expect_err(key);
        assert_eq!(error.kind, ErrorKind::BadAnswer, "{error}");
        let text = error.to_string();
        assert!(text.contains("is no name of a file") && text.contains("exclude: ["), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(files("format: files", &format!(r#"{{"{}":"v","ключ":"v"}}"#, "k".repeat(255))).is_ok());
    for key in ["a-b", "1a", "ключ", "", "a b"] {
        let error = of_secret("format: dotenv", &format!(r#"{{"{key}":"v"}}"#)).expect_err(key);
        assert!(error.to_string().contains("is no name of a variable"), "{error}");
        of_secret("format: properties", &format!(r#"{{"{key}":"v"}}"#)).expect(key);
    }
    let nul = of_secret("format: shell", r#"{"a":"x\u0000y"}"#).expect_err("a NUL");
    assert!(nul.to_string().contains("the value of key \"a\" holds a NUL"), "{nul}");
    let many: Vec<String> = (0..1001).map(|n| format!("\"k{n}\":\"\"")).collect();
    let error = files("format: files", &format!("{{{}}}", many.join(","))).expect_err("too many");
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(files("format: files", &format!("{{{}}}", many[1..].join(","))).is_ok());
}

#[test]
fn what_is_no_map_is_refused_by_formats_of_keys() {
    for (secret, kind) in [("[1]", "a list"), ("\"text\"", "a string"), ("1", "a number or boolean")] {
        for format in ["files", "dotenv", "shell", "properties"] {
            let error =
                of_secret(&format!("format: {format}, secretKey: s"), &format!(r#"{{"s":{secret}}}"#));
            let error = error.expect_err(format);
            assert_eq!(error.kind, ErrorKind::BadAnswer);
            assert!(error.to_string().contains(&format!("the data is {kind}")), "{error}");
        }
        assert!(of_secret("format: json, secretKey: s", &format!(r#"{{"s":{secret}}}"#)).is_ok());
    }
    let error = of_secret("format: yaml, secretKey: s", r#"{"s":null}"#).expect_err("null");
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[test]
fn pem_blocks_of_several_keys_are_one_file() {
    let block = |label: &str| format!("-----BEGIN {label}-----\nAA==\n-----END {label}-----");
    let escaped = |label: &str| block(label).replace('\n', "\\n");
    let secret = format!(
        r##"{{"certificate":"{}","ca_chain":["{}","{}\n"],"private_key":"# key\n{}\nend","none":[],"n":1,"text":"x"}}"##,
        escaped("CERTIFICATE"),
        escaped("CERTIFICATE"),
        escaped("CERTIFICATE"),
        escaped("PRIVATE KEY")
    );
    let all =
        of_secret("format: pem, secretKey: [certificate, ca_chain, private_key]", &secret).expect("blocks");
    let certificate = block("CERTIFICATE");
    assert_eq!(all, format!("{certificate}\n{certificate}\n{certificate}\n{}\n", block("PRIVATE KEY")));
    assert_eq!(
        of_secret("format: pem, secretKey: certificate", &secret).expect("a block"),
        format!("{certificate}\n")
    );
    assert_eq!(
        of_secret("format: pem, jsonPointer: /ca_chain/1", &secret).expect("a block"),
        format!("{certificate}\n")
    );
    for (keys, message) in [
        ("[certificate, gone]", "no key \"gone\""),
        ("n", "the value is neither a string nor a list of strings"),
        ("[text]", "key \"text\" holds no PEM block"),
        ("none", "the list is empty"),
    ] {
        let error = of_secret(&format!("format: pem, secretKey: {keys}"), &secret).expect_err(keys);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn what_is_absent_makes_no_file_if_it_is_optional() {
    for fields in [
        "secretKey: x",
        "jsonPointer: /x",
        "secretKey: n, jsonPointer: \"\"",
        "format: json, secretKey: x",
        "format: dotenv, include: [x]",
        "format: files, include: [\"x*\"]",
        "format: pem, secretKey: [x]",
    ] {
        let body = r#"{"data":{"a":"v","b":"w"}}"#;
        let absent = all_rendered(&format!("optional: true, {fields}"), body, &stored_frames());
        assert!(absent.expect(fields).is_empty(), "{fields}");
        assert!(all_rendered(fields, body, &stored_frames()).is_err(), "{fields}");
    }
    let wrong = all_rendered(
        "optional: true, secretKey: a, encoding: hex",
        r#"{"data":{"a":"x"}}"#,
        &stored_frames(),
    );
    assert!(wrong.is_err(), "a wrong encoding is no absence");
}

#[test]
fn looking_at_too_many_keys_ends_in_an_error() {
    let members: Vec<String> = (0..60_000).map(|n| format!("\"{}{n}\":1", "k".repeat(60))).collect();
    let secret = format!("{{{}}}", members.join(","));
    let patterns = vec![format!("\"{}*x\"", "*k".repeat(200)); 60].join(",");
    let error = of_secret(&format!("format: json, include: [{patterns}]"), &secret).expect_err("too much");
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.to_string().contains("too many keys"), "{error}");
}

#[test]
fn escapes_count_towards_the_length_of_a_file() {
    for (format, c) in
        [("properties", "\u{7f}"), ("yaml", "\u{7f}"), ("dotenv", "'"), ("shell", "'"), ("json", "\\n")]
    {
        let of_length = |length: usize| {
            of_secret(&format!("format: {format}"), &format!(r#"{{"k":"{}"}}"#, c.repeat(length)))
        };
        of_length(100_000).expect(format);
        assert_eq!(of_length(600_000).expect_err(format).kind, ErrorKind::TooLarge, "{format}");
    }
}

#[test]
fn pointers_into_long_lists_and_strings_are_limited() {
    let list = format!(r#"{{"l":[{}0]}}"#, "0,".repeat(150_000));
    assert_eq!(of_secret("jsonPointer: /l/150000", &list).expect("the last item"), "0");
    let in_string = format!(r#"{{"s":"[{}0]"}}"#, "0,".repeat(50_000));
    assert_eq!(of_secret("jsonPointer: /s/50000", &in_string).expect("the last item"), "0");
    let long = format!(r#"{{"s":"[{}0]"}}"#, "0,".repeat(150_000));
    let error = of_secret("jsonPointer: /s/150000", &long).expect_err("a large index");
    assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
}

#[test]
fn what_counts_down_counts_only_if_it_is_asked_for() {
    let of = |fields: &str, ttl: u32| {
        let data = format!(
            r#"{{"last_vault_rotation":"x","password":"p","rotation_period":60,"ttl":{ttl},"username":"u"}}"#
        );
        let files =
            all_rendered(fields, &format!(r#"{{"lease_duration":0,"data":{data}}}"#), &stored_frames());
        files.expect(fields).iter().map(|file| file.hashed().to_vec()).collect::<Vec<_>>()
    };
    for fields in ["format: json", "format: yaml", "format: dotenv", "format: properties", "format: files"] {
        assert_eq!(of(fields, 9), of(fields, 8), "{fields}");
    }
    for fields in ["format: json, include: [ttl]", "format: files, include: [ttl]", "jsonPointer: /ttl"] {
        assert_ne!(of(fields, 9), of(fields, 8), "{fields}");
    }
}
