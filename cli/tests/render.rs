//! `coffer render` on sample data: the files, and the mistakes that users make.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{files, text};

const SAMPLE: &str = r#"{
  "secret/data/app": {"data": {"user": "ada", "password": "it's 1.50", "port": 5432}},
  "/kv/app/": {"list": ["a", "b"], "number": 123456789012345678901234567890}
}"#;

const TEMPLATE: &str = "{{ with secret \"secret/data/app\" -}}\nuser={{ .Data.data.user }}\n{{ end -}}\n";

const CLASS: &str = "\
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: app
spec:
  provider: vault
  parameters:
    roleName: app
    objects: |
      - objectName: app.conf
        template: |
          {{ with secret \"kv/app\" }}{{ range .Data.list }}{{ . }};{{ end }}{{ .Data.number }}{{ end }}
      - objectName: app.env
        secretPath: secret/data/app
        format: dotenv
      - objectName: keys
        secretPath: secret/data/app
        format: files
        include: [user]
";

fn render(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.env_clear().current_dir(dir).arg("render").args(arguments).output().expect("coffer runs")
}

fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(output)
}

#[test]
fn a_template_is_printed_with_sample_data() {
    let dir = files(&[("app.tmpl", TEMPLATE), ("sample.json", SAMPLE)]);
    let output = render(dir.path(), &["--template", "app.tmpl", "--data", "sample.json"]);
    assert_eq!(printed(&output), "user=ada\n");
    let other = "<< with secret \"kv/app\" >><< .Data.number >>{{ x }}<< end >>";
    let dir = files(&[("app.tmpl", other), ("sample.json", SAMPLE)]);
    let delimiters = ["--left-delimiter=<<", "--right-delimiter=>>"];
    let output =
        render(dir.path(), &[&["--template", "app.tmpl", "--data", "sample.json"], &delimiters[..]].concat());
    assert_eq!(printed(&output), "123456789012345678901234567890{{ x }}", "numbers keep their digits");
}

#[test]
fn all_objects_of_a_class_are_printed_or_one() {
    let dir = files(&[("class.yaml", CLASS), ("sample.json", SAMPLE)]);
    let arguments = ["--class", "class.yaml", "--data", "sample.json"];
    let all = printed(&render(dir.path(), &arguments));
    let expected = "==> app.conf <==\na;b;123456789012345678901234567890\n\n\
                    ==> app.env <==\npassword='it'\"'\"'s 1.50'\nport='5432'\nuser='ada'\n\n\
                    ==> keys/user <==\nada";
    assert_eq!(all, expected);
    let one = render(dir.path(), &[&arguments[..], &["--object", "app.env"]].concat());
    assert_eq!(printed(&one), "password='it'\"'\"'s 1.50'\nport='5432'\nuser='ada'\n");
}

#[test]
fn mistakes_say_where_they_are_and_show_no_value() {
    let missing = "a\n {{ with secret \"secret/data/app\" }}{{ .Data.data.gone }}{{ end }}";
    let dir = files(&[
        ("app.tmpl", TEMPLATE),
        ("missing.tmpl", missing),
        ("sprig.tmpl", "x\n{{ env \"HOME\" }}"),
        ("other.tmpl", "{{ with secret \"secret/data/other\" }}{{ end }}"),
        ("class.yaml", CLASS),
        ("sample.json", SAMPLE),
        ("list.json", "[\"it's 1.50\"]"),
        ("broken.json", "{\n  \"a\": it's 1.50\n}"),
    ]);
    for (arguments, code, words) in [
        (&["--template=missing.tmpl", "--data=sample.json"][..], 1, "missing.tmpl:2:"),
        (&["--template=missing.tmpl", "--data=sample.json"], 1, "there is no key gone"),
        (&["--template=sprig.tmpl", "--data=sample.json"], 1, "sprig.tmpl:2:4: env is not supported"),
        (&["--template=other.tmpl", "--data=sample.json"], 1, "there is nothing for \"secret/data/other\""),
        (&["--template=app.tmpl", "--data=list.json"], 1, "not a JSON object with the data of each path"),
        (&["--template=app.tmpl", "--data=broken.json"], 1, "broken.json: line 2, column"),
        (&["--template=app.tmpl", "--data=none.json"], 2, "cannot read none.json"),
        (&["--template=none.tmpl", "--data=sample.json"], 2, "cannot read none.tmpl"),
        (&["--class=none.yaml", "--data=sample.json"], 2, "cannot read none.yaml"),
        (
            &["--class=class.yaml", "--data=sample.json", "--object=x"],
            1,
            "class app has no object \"x\"; it has app.conf, app.env, keys",
        ),
        (&["--template=app.tmpl"], 2, "required"),
        (&["--template=app.tmpl", "--live", "--token-file=t"], 2, "cannot be used with"),
        (&["--class=class.yaml", "--live"], 2, "--service-account"),
    ] {
        let output = render(dir.path(), arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
        assert!(!error.contains("1.50") && output.stdout.is_empty(), "{error}");
    }
    let allowed = ["--template=missing.tmpl", "--data=sample.json", "--allow-missing-keys"];
    assert_eq!(printed(&render(dir.path(), &allowed)), "a\n <no value>");
}
