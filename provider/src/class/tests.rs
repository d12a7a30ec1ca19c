mod credentials;
mod outputs;
mod templates;

use std::collections::BTreeMap;

use coffer_vault::Method;
use proptest::prelude::*;

use super::{Class, Encoding, Object, Output, Source, TlsParameters};
use crate::{Address, Error, ErrorKind, Settings};

const OBJECTS: &str = "- objectName: a\n  secretPath: secret/data/a\n";

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let defaults = [("roleName", "app"), ("objects", OBJECTS)];
    defaults.iter().chain(pairs).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn class(pairs: &[(&str, &str)]) -> Result<Class, Error> {
    Class::parse(&parameters(pairs), &Settings::default())
}

fn objects(text: &str) -> Result<Class, Error> {
    class(&[("objects", text)])
}

/// Returns the key whose value is the file.
fn key_of(object: &Object) -> Option<&str> {
    match &object.source {
        Source::Answer { output: Output::Value { part, .. }, .. } => part.key.as_deref(),
        _ => None,
    }
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    let error = class(pairs).expect_err("a mistake");
    assert_eq!(error.kind, ErrorKind::InvalidClass);
    error.to_string()
}

#[test]
fn settings_apply_where_the_class_sets_nothing() {
    let class = class(&[]).expect("a class");
    assert_eq!(class.target.address, Settings::default().address);
    assert_eq!((class.auth_mount.as_str(), class.role.as_str()), ("kubernetes", "app"));
    assert_eq!((class.namespace, class.audience), (None, None));
    assert_eq!(class.warnings, [""; 0]);
}

#[test]
fn openbaos_names_are_accepted_and_the_first_prefix_counts() {
    let class = class(&[
        ("vaultAddress", "http://vault:1"),
        ("baoAddress", "http://bao:1"),
        ("openbaoRoleName", "by-prefix"),
        ("baoNamespace", "team"),
        ("openbaoAuthMountPath", "/auth-jwt/"),
        ("audience", "me"),
    ])
    .expect("a class");
    assert_eq!(class.target.address, Address::parse("http://bao:1").expect("an address"));
    assert_eq!(class.role, "by-prefix");
    assert_eq!(class.namespace.as_deref(), Some("team"));
    assert_eq!(class.auth_mount, "auth-jwt");
    assert_eq!(class.audience.as_deref(), Some("me"));
}

#[test]
fn a_class_can_undo_a_global_skip_of_verification() {
    let mut settings = Settings::default();
    settings.tls.skip_verify = true;
    let parsed = Class::parse(&parameters(&[("vaultSkipTLSVerify", "false")]), &settings).expect("a class");
    assert!(!parsed.target.tls.skip_verify);
}

#[test]
fn ignored_tls_parameters_count_for_nothing_however_wrong() {
    let names = [
        "CACertPath",
        "CADirectory",
        "TLSServerName",
        "TLSClientCertPath",
        "TLSClientKeyPath",
        "SkipTLSVerify",
    ];
    let mut settings = Settings::default();
    settings.tls.server_name = Some("vault.internal".to_owned());
    for prefix in ["vault", "bao", "openbao"] {
        for (name, value) in names.into_iter().flat_map(|name| [(name, "/proc/1/environ"), (name, LONG)]) {
            let parameters = parameters(&[(&format!("{prefix}{name}"), value)]);
            let parse = |tls| Class::parse_with(&parameters, &settings, tls);
            let class = parse(TlsParameters::Ignored).expect("no mistake");
            assert_eq!(class.target.tls, settings.tls, "{prefix}{name}");
            assert_eq!(class.warnings, [""; 0], "{prefix}{name} is known");
            let used = parse(TlsParameters::Used);
            assert!(used.is_err() || used.is_ok_and(|class| class.target.tls != settings.tls), "{name}");
        }
    }
    let long = parameters(&[("vaultNamespace", LONG)]);
    assert!(Class::parse_with(&long, &settings, TlsParameters::Ignored).is_err());
}

/// Longer than a parameter may be.
const LONG: &str = match std::str::from_utf8(&[b'x'; 1025]) {
    Ok(text) => text,
    Err(_) => "",
};

#[test]
fn names_with_a_missing_or_needless_prefix_are_unknown() {
    let class = class(&[("Address", "http://v:1"), ("vaultobjects", "[]")]).expect("a class");
    assert_eq!(class.target.address, Settings::default().address);
    assert_eq!(class.warnings.len(), 2, "{:?}", class.warnings);
}

#[test]
fn mistakes_in_parameters_name_the_parameter() {
    for (pairs, words) in [
        (&[("roleName", "")][..], "\"roleName\" is missing"),
        (&[("objects", "")], "\"objects\" is missing"),
        (&[("vaultAddress", "vault")], "\"vaultAddress\": \"vault\" is no Vault address"),
        (&[("vaultSkipTLSVerify", "yes")], "\"vaultSkipTLSVerify\": \"yes\" is neither"),
        (
            &[("vaultKubernetesMountPath", "a"), ("vaultAuthMountPath", "b")],
            "\"vaultKubernetesMountPath\" and \"vaultAuthMountPath\" exclude each other",
        ),
        (&[("vaultAuthMountPath", "a/../b")], "\"vaultAuthMountPath\": has an empty"),
        (&[("vaultNamespace", "a\nX-Vault-Token: t")], "\"vaultNamespace\": "),
        (&[("vaultTLSClientCertPath", "/c")], "\"vaultTLSClientKeyPath\" is missing"),
        (
            &[("baoCACertPath", "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")],
            "\"baoCACertPath\": /var/run/secrets/kubernetes.io/serviceaccount/ca.crt cannot be used: it lies in",
        ),
    ] {
        let said = refusal(pairs);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn objects_come_in_yaml_flow_yaml_and_json() {
    for text in [
        "- objectName: a\n  secretPath: p\n  secretKey: k\n  method: put\n  secretArgs: {x: 1}\n  filePermission: 0600\n  encoding: HEX",
        "[{objectName: a, secretPath: p, secretKey: k, method: PUT, secretArgs: {x: 1}, filePermission: 384, encoding: hex}]",
        r#"[{"objectName":"a","secretPath":"p","secretKey":"k","method":"PUT","secretArgs":{"x":1},"filePermission":"0600","encoding":"Hex"}]"#,
    ] {
        let object = objects(text).expect(text).objects.remove(0);
        assert_eq!((object.name(), key_of(&object)), ("a", Some("k")));
        assert_eq!(object.mode, Some(0o600));
        assert!(matches!(
            object.source,
            Source::Answer { output: Output::Value { encoding: Encoding::Hex, .. }, .. }
        ));
        assert_eq!(
            (object.source.requests()[0].method, object.source.requests()[0].path.as_str()),
            (Method::Put, "p")
        );
        assert_eq!(object.source.requests()[0].body.as_ref().expect("a body").expose(), b"{\"x\":1}");
    }
}

#[test]
fn scalars_are_read_as_text_as_in_go() {
    let class = objects("[{objectName: 12, secretPath: true, secretKey: 1.50}]").expect("a class");
    let object = &class.objects[0];
    assert_eq!((object.name(), object.source.requests()[0].path.as_str()), ("12", "true"));
    assert_eq!(key_of(object), Some("1.50"));
}

#[test]
fn mistakes_in_objects_name_the_object_and_the_line() {
    for (text, words) in [
        (
            "- objectName: a\n  secretPath: p\n- objectName: ''\n  secretPath: q",
            "line 3, column 3: objectName is empty (object 2 of the list)",
        ),
        ("- secretPath: q", "objectName is empty"),
        ("- objectName: a", "object \"a\": parameter \"objects\", line 1, column 3: secretPath is missing"),
        (
            "- objectName: a\n  secretPath: p\n  filePermission: 888",
            "line 3, column 3: filePermission is no mode",
        ),
        (
            "- objectName: a\n  secretPath: p\n  encoding: utf8",
            "line 3, column 3: encoding \"utf8\" is none of",
        ),
        (
            "- objectName: a\n  secretPath: p\n  method: DELETE",
            "line 3, column 3: method \"DELETE\" is none of",
        ),
        ("- objectName: ../a\n  secretPath: p", "line 1, column 3: objectName starts with"),
        ("- objectName: a\n  secretPath: p/../q", "line 2, column 3: secretPath has an empty"),
        ("- objectName: a\n  secretPath: p\n  encoding: hex", "line 3, column 3: encoding needs a secretKey"),
        (
            "- objectName: a\n  secretPath: p\n  secretArgs: [1]",
            "secretArgs is a list, where a map of names to values is expected",
        ),
        ("[{objectName: a, secretPath: p}, {objectName: a, secretPath: q}]", "has the same objectName"),
        (
            "[{objectName: a/b, secretPath: p}, {objectName: a-c, secretPath: p}, {objectName: a, secretPath: q}]",
            "as a directory",
        ),
        ("[]", "lists no object"),
        ("objectName: a", "not a list of objects"),
        ("- objectName: [a]\n  secretPath: p", "line 1"),
        ("- objectName: a\n  objectName: b\n  secretPath: p", "line 2"),
        ("- a: &x\n - b", "not a list"),
    ] {
        let said = refusal(&[("objects", text)]);
        assert!(said.contains(words), "{text}\n{said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_field_object_and_place() {
    for (text, words) in [
        (
            "- objectName: a\n  secretPath: [p]",
            "object \"a\": parameter \"objects\", line 2, column 3: secretPath is a list, where a text is expected",
        ),
        (
            "- secretPath: {p: q}\n  objectName: a",
            "object \"a\": parameter \"objects\", line 1, column 3: secretPath is a map",
        ),
        (
            "- objectName: [a]\n  secretPath: p",
            "line 1, column 3: objectName is a list, where a text is expected (object 1 of the list)",
        ),
        (
            "- {objectName: a, secretPath: p}\n- {objectName: b, secretPath: p, secretKey: [k]}",
            "object \"b\": parameter \"objects\", line 2, column 34: secretKey is a list",
        ),
        (
            "- objectName: a\n  secretPath: p\n  method: {POST: }",
            "line 3, column 3: method is a map, where a text",
        ),
        (
            "- objectName: a\n  secretPath: p\n  encoding: [hex]",
            "line 3, column 3: encoding is a list, where a text",
        ),
        (
            "- objectName: a\n  secretPath: p\n  filePermission: [0644]",
            "line 3, column 3: filePermission is a list, where a file mode such as 0644",
        ),
        ("- objectName: a\n  secretPath: p\n  filePermission: {}", "filePermission is a map"),
        (
            "- objectName: a\n  secretPath: p\n  filePermission: -1",
            "line 3, column 3: filePermission is no file mode",
        ),
        ("- objectName: a\n  secretPath: p\n  filePermission: 1.5", "filePermission is no file mode"),
        ("- objectName: a\n  secretPath: p\n  filePermission: rw-r--r--", "filePermission is no file mode"),
        ("- objectName: a\n  secretPath: p\n  filePermission: true", "filePermission is no file mode"),
        (
            "- objectName: a\n  secretPath: p\n  secretArgs: x",
            "object \"a\": parameter \"objects\", line 3, column 3: secretArgs is a text, where a map of names to values",
        ),
        ("- objectName: a\n  secretPath: p\n  secretArgs: 1", "secretArgs is a number, where"),
        ("- objectName: a\n  secretPath: p\n  secretArgs: true", "secretArgs is true or false, where"),
        ("- objectName: a\n  secretPath: [p]\n  secretArgs: x", "secretPath is a list"),
        (
            "- a",
            "line 1, column 3: object 1 of the list is a text, where a map with objectName and secretPath is expected",
        ),
        ("- {objectName: a, secretPath: p}\n- [b]", "line 2, column 3: object 2 of the list is a list"),
        ("- {objectName: a, secretPath: p}\n- 3", "object 2 of the list is a number"),
        (
            "objectName: a\nsecretPath: b",
            "line 1, column 1: not a list of objects in YAML or JSON: it is a map. Begin each object",
        ),
        ("'- {objectName: a, secretPath: p}'", "it is a text that holds the list. Remove the quotes"),
        ("\"[{\\\"objectName\\\": \\\"a\\\"}]\"", "it is a text that holds the list"),
        ("a text", "not a list of objects in YAML or JSON: it is a text"),
        ("7", "it is a number"),
        ("true", "it is true or false"),
        ("{\"objects\": []}", "it is a map"),
    ] {
        let said = refusal(&[("objects", text)]);
        assert!(said.contains(words), "{text}\n{said}");
    }
    for (text, words) in [
        ("~", "lists no object"),
        ("- ~", "line 1, column 3: object 1 of the list is empty, where a map with objectName"),
        ("- objectName: ~\n  secretPath: p", "objectName is empty"),
        ("- objectName: a\n  secretPath: ", "secretPath is missing"),
    ] {
        let said = refusal(&[("objects", text)]);
        assert!(said.contains(words), "{text}\n{said}");
    }
}

#[test]
fn every_value_of_a_wrong_type_is_found() {
    let objects =
        "- objectName: a\n  secretPath: [p]\n  secretKey: {}\n- b\n- {objectName: [], secretPath: q}\n";
    let examined =
        Class::examine(&parameters(&[("roleName", "web"), ("objects", objects)]), &Settings::default());
    let places = examined.findings.mistakes.iter().filter_map(|mistake| mistake.position);
    let places: Vec<_> = places.map(|at| (at.line, at.column)).collect();
    assert_eq!(places, [(2, 3), (3, 3), (4, 3), (5, 4)], "{:?}", examined.findings.mistakes);
}

#[test]
fn every_mistake_is_found_with_its_position() {
    let objects = "- objectName: a\n  secretPath: p/../q\n  method: DELETE\n  secretArgs: [1]\n\
                   - secretPath: q\n  encoding: rot13\n\
                   - {objectName: a/b, secretPath: q, filepermission: 1}\n\
                   - {objectName: a, secretPath: q}\n";
    let examined = Class::examine(
        &parameters(&[
            ("roleName", ""),
            ("vaultAddress", "vault"),
            ("vaultSkipTLSVerify", "yes"),
            ("objects", objects),
        ]),
        &Settings::default(),
    );
    assert!(examined.class.is_none());
    let names = examined.names.iter().map(|(name, at)| (name.as_str(), at.line));
    assert_eq!(names.collect::<Vec<_>>(), [("a", 1), ("a/b", 7), ("a", 8)]);
    let found: Vec<_> = examined
        .findings
        .mistakes
        .iter()
        .map(|mistake| {
            let at = mistake.position.map_or((0, 0), |at| (at.line, at.column));
            (mistake.parameter.as_str(), at, mistake.object.as_deref(), mistake.message.as_str())
        })
        .collect();
    let starts = [
        ("objects", (2, 3), Some("a"), "secretPath has an empty"),
        ("objects", (3, 3), Some("a"), "method \"DELETE\" is none"),
        ("objects", (4, 3), Some("a"), "secretArgs is a list, where a map of names to values is expected"),
        ("objects", (5, 3), None, "objectName is empty (object 2 of the list)"),
        ("objects", (6, 3), None, "encoding \"rot13\" is none"),
        ("objects", (8, 4), Some("a"), "line 1 has the same objectName"),
        ("objects", (7, 4), Some("a/b"), "line 1 makes \"a\" a file"),
        ("vaultAddress", (0, 0), None, "parameter \"vaultAddress\": \"vault\" is no Vault"),
        ("vaultSkipTLSVerify", (0, 0), None, "parameter \"vaultSkipTLSVerify\": \"yes\" is neither"),
        ("roleName", (0, 0), None, "parameter \"roleName\" is missing"),
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(starts) {
        let same = (found.0, found.1, found.2) == (expected.0, expected.1, expected.2);
        assert!(same && found.3.starts_with(expected.3), "{found:?} is not {expected:?}");
    }
    let [warning] = &examined.findings.warnings[..] else { panic!("{:?}", examined.findings.warnings) };
    assert!(warning.message.contains("did you mean \"filePermission\""), "{warning}");
}

#[test]
fn parsing_returns_ten_warnings_and_examining_returns_all() {
    let fields: String = (0..50).map(|n| format!("  field{n}: x\n")).collect();
    let pairs = [("objects", &*format!("{OBJECTS}{fields}"))];
    assert_eq!(class(&pairs).expect("a class").warnings.len(), 10);
    let examined = Class::examine(&parameters(&pairs), &Settings::default());
    assert_eq!(examined.findings.warnings.len(), 50);
}

#[test]
fn a_mistake_never_repeats_an_argument() {
    for text in [
        "- objectName: a\n  secretPath: p\n  secretArgs: {key: hunter2, key: hunter2}",
        "- objectName: a\n  secretPath: p\n  secretArgs: hunter2",
        "- objectName: a\n  secretPath: p\n  secretArgs: {key: \"hunter2}",
        "- objectName: a\n  secretPath: p\n  secretArgs: {key: !!int hunter2}",
        "- objectName: a\n  secretPath: p\n  secretArgs: {hunter2",
    ] {
        let error = objects(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn alias_bombs_are_refused() {
    let mut bomb =
        String::from("- objectName: a\n  secretPath: p\n  secretArgs:\n    x0: &x0 [1,1,1,1,1,1,1,1,1,1]\n");
    for n in 1..10 {
        let list = vec![format!("*x{}", n - 1); 10].join(",");
        bomb.push_str(&format!("    x{n}: &x{n} [{list}]\n"));
    }
    assert!(objects(&bomb).is_err());
    let deep = format!(
        "- objectName: a\n  secretPath: p\n  secretArgs: {{x: {}1{}}}",
        "[".repeat(100),
        "]".repeat(100)
    );
    assert!(objects(&deep).is_err());
}

#[test]
fn warnings_about_unknown_names_suggest_the_nearest_known_name() {
    let class = class(&[
        ("vaultAdress", "http://v"),
        ("somethingElse", "x"),
        ("csi.storage.k8s.io/pod.name", "pod"),
        ("objects", "- objectName: a\n  secretpath: q\n  secretPath: p\n  secretArgs: {a: 1}"),
    ])
    .expect("a class");
    assert_eq!(
        class.warnings,
        [
            "unknown parameter \"somethingElse\" is ignored",
            "unknown parameter \"vaultAdress\" is ignored: did you mean \"vaultAddress\"?",
            "object \"a\", line 2: unknown field \"secretpath\" is ignored: did you mean \"secretPath\"?",
            "object \"a\", line 4: secretArgs are not sent with GET: Vault reads none there",
        ]
    );
}

#[test]
fn the_fingerprint_is_the_incumbents_struct_as_go_writes_it() {
    let class = objects(
        "- {objectName: a, secretPath: 'p?x=<1>', secretKey: k, secretArgs: {b: 1.0, a: [~, true]}, filePermission: 0644}\n\
         - {objectName: b, secretPath: /v1/q, method: get}",
    )
    .expect("a class");
    let fingerprint =
        |n: usize| String::from_utf8(class.objects[n].fingerprint.expose().to_vec()).expect("UTF-8");
    assert_eq!(
        fingerprint(0),
        r#"{"ObjectName":"a","SecretPath":"p?x=\u003c1\u003e","SecretKey":"k","Method":"","SecretArgs":{"a":[null,true],"b":1},"FilePermission":420,"Encoding":""}"#
    );
    assert_eq!(
        fingerprint(1),
        r#"{"ObjectName":"b","SecretPath":"/v1/q","SecretKey":"","Method":"get","SecretArgs":null,"FilePermission":0,"Encoding":""}"#
    );
}

#[test]
fn objects_share_a_request_only_if_the_requests_are_equal() {
    let class = objects(
        "- {objectName: user, secretPath: database/creds/r, secretKey: username}\n\
         - {objectName: password, secretPath: /v1/database/creds/r, secretKey: password}\n\
         - {objectName: cert1, secretPath: pki/issue/r, method: PUT, secretArgs: {common_name: a}}\n\
         - {objectName: cert2, secretPath: pki/issue/r, method: PUT, secretArgs: {common_name: b}}\n\
         - {objectName: v1, secretPath: 'secret/data/x?version=1'}\n\
         - {objectName: v2, secretPath: 'secret/data/x?version=2'}\n\
         - {objectName: list, secretPath: database/creds/r, method: LIST}",
    )
    .expect("a class");
    let plan = &class.plan;
    assert_eq!(plan.requests_of, [[0], [0], [1], [2], [3], [4], [5]]);
    assert_eq!(plan.requests.iter().filter(|planned| planned.request.issues()).count(), 2);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_or_print_two_lines(text in "[-a-z{}\\[\\]:&*!|>'\" \n\t0-9]{0,80}") {
        if let Err(error) = objects(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
