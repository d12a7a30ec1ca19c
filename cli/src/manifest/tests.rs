//! Manifests as users write them.

use std::path::Path;

use super::class::ClassManifest;
use super::parse_class;

const CLASS: &str = "\
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: db
spec:
  provider: vault
  parameters:
    roleName: app
    objects: |
      - objectName: password
        secretPath: secret/db
";

fn parsed(text: &str, name: Option<&str>) -> Result<ClassManifest, String> {
    parse_class(Path::new("class.yaml"), text, name).map_err(|error| error.to_string())
}

#[test]
fn a_manifest_is_read() {
    let class = parsed(CLASS, None).expect("a class");
    assert_eq!((&*class.name, &*class.provider, class.namespace), ("db", "vault", None));
    let objects = "- objectName: password\n  secretPath: secret/db\n";
    let expected = [("objects", objects), ("roleName", "app")];
    assert!(class.parameters.iter().map(|(name, value)| (&**name, &**value)).eq(expected));
}

#[test]
fn json_is_read_too() {
    let text = "{\n\t\"apiVersion\": \"secrets-store.csi.x-k8s.io/v1\", \"kind\": \"SecretProviderClass\",\n\
                \t\"metadata\": {\"name\": \"db\", \"namespace\": \"ns\"},\n\
                \t\"spec\": {\"provider\": \"vault\", \"parameters\": {\"roleName\": 1}}\n}";
    let class = parsed(&text.replace("1}", "\"app\"}"), None).expect("a class");
    assert_eq!(class.namespace.as_deref(), Some("ns"));
    assert_eq!(class.parameters["roleName"], "app");
    let error = parsed(text, None).expect_err("a number");
    assert_eq!(
        error,
        "class.yaml:4:47: parameter \"roleName\" is a number, where Kubernetes takes a string: put it in quotes"
    );
}

#[test]
fn the_only_class_among_other_documents_is_read() {
    let text =
        format!("# all\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n--- # two\n{CLASS}---\n");
    assert_eq!(parsed(&text, None).expect("a class").name, "db");
    let error = parsed(&text, Some("cache")).expect_err("no such class");
    let has = "v1 Secret x, secrets-store.csi.x-k8s.io/v1 SecretProviderClass db";
    assert_eq!(error, format!("class.yaml: no SecretProviderClass named cache; it has {has}"));
}

#[test]
fn one_of_several_is_chosen_by_name() {
    let text = format!("{CLASS}---\n{}", CLASS.replace("name: db", "name: cache"));
    assert_eq!(parsed(&text, Some("cache")).expect("a class").name, "cache");
    let error = parsed(&text, None).expect_err("two");
    assert_eq!(error, "class.yaml: several of kind SecretProviderClass: db, cache; choose one by --name");
}

#[test]
fn another_kind_is_refused() {
    let error =
        parsed(&CLASS.replace("secrets-store.csi.x-k8s.io", "example.com"), None).expect_err("another group");
    assert_eq!(error, "class.yaml: no SecretProviderClass; it has example.com/v1 SecretProviderClass db");
    let error = parsed("kind: SecretProviderClass\n", None).expect_err("no group");
    assert_eq!(error, "class.yaml: no SecretProviderClass; it has - SecretProviderClass -");
    assert_eq!(parsed("", None).expect_err("nothing"), "class.yaml: no SecretProviderClass; it has nothing");
}

#[test]
fn values_of_json_need_no_separator() {
    let class = |name: &str, role: &str| {
        format!(
            "{{\"apiVersion\": \"secrets-store.csi.x-k8s.io/v1\", \"kind\": \"SecretProviderClass\", \
             \"metadata\": {{\"name\": \"{name}\"}}, \"spec\": {{\"provider\": \"vault\", \"parameters\": \
             {{\"roleName\": {role}}}}}}}"
        )
    };
    for between in ["", "\n", "\n\n", "\n---\n"] {
        let text = class("db", "\"}{\"") + between + &class("cache", "\"b\"");
        assert_eq!(parsed(&text, Some("cache")).expect("a class").parameters["roleName"], "b", "{between:?}");
        assert_eq!(parsed(&text, Some("db")).expect("a class").parameters["roleName"], "}{", "{between:?}");
    }
    let first = class("db", "\"a\"");
    let error = parsed(&(first.clone() + &class("cache", "1")), Some("cache")).expect_err("a number");
    let at = format!("class.yaml:1:{}: ", first.len() * 2 - 14);
    assert!(error.starts_with(&at), "{at} {error}");
}

#[test]
fn errors_name_the_line_of_the_file() {
    for (right, wrong, line) in [
        ("roleName: app", "roleName: true", 12),
        ("roleName: app", "roleName: 0644", 12),
        ("roleName: app", "roleName:", 12),
        ("roleName: app", "roleName: [a]", 12),
        ("roleName: app", "roleName: *other", 12),
        ("roleName: app", "roleName: a\n    roleName: b", 13),
        ("  provider: vault\n", "", 10),
    ] {
        let text = format!("kind: A\n---\nkind: B\n---\n{CLASS}").replace(right, wrong);
        let error = parsed(&text, None).expect_err(wrong);
        assert!(error.starts_with(&format!("class.yaml:{line}:")), "{wrong}: {error}");
    }
}

#[test]
fn a_parameter_must_be_a_string() {
    let error = parsed(&CLASS.replace("app", "true"), None).expect_err("a boolean");
    let expected = "class.yaml:8:5: parameter \"roleName\" is a boolean, where Kubernetes takes a string: put it in quotes";
    assert_eq!(error, expected);
    let class = parsed(&CLASS.replace("app", "\"true\""), None).expect("quoted");
    assert_eq!(class.parameters["roleName"], "true");
}

#[test]
fn a_list_s_classes_are_read() {
    let indented: String = CLASS.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!("apiVersion: v1\nkind: List\nitems:\n  - kind: Secret\n  -\n{indented}");
    assert_eq!(parsed(&text, None).expect("a class").name, "db");
}
