//! Templates over a real Vault.

use coffer_tests::OpenBaoSetup;
use serde_json::{Value, json};

/// Returns a class's `objects`: one template, with further fields.
fn template(text: &str, fields: &Value) -> String {
    let mut object = json!({ "objectName": "f", "template": text });
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!([object]).to_string()
}

async fn setup() -> OpenBaoSetup {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "user": "jo", "password": "it's <1>", "port": 5432 })).await;
    setup.bao.kv_put("db", json!({ "host": "db-0", "hosts": ["a", "b"] })).await;
    setup
}

#[tokio::test]
async fn one_file_is_made_of_two_secrets() {
    let setup = setup().await;
    let text = "{{- with secret \"secret/data/app\" -}}\nuser={{ .Data.data.user }}:{{ .Data.data.port }}\n{{ end -}}\n\
                {{- with secret \"secret/data/db\" }}{{ range .Data.data.hosts }}host {{ . }}\n{{ end }}{{ end -}}";
    let before = setup.bao.requests_to("secret/data/app") + setup.bao.requests_to("secret/data/db");
    let objects = template(text, &json!({ "filePermission": "0400" }));
    let mounted = setup.mount(&objects).await.unwrap();
    assert_eq!(mounted.text("f"), "user=jo:5432\nhost a\nhost b\n");
    assert_eq!(mounted.file("f").mode, 0o400);
    let after = setup.bao.requests_to("secret/data/app") + setup.bao.requests_to("secret/data/db");
    assert_eq!(after - before, 2, "two requests");

    let again = setup.mount(&objects).await.unwrap();
    assert_eq!(again.versions, mounted.versions);
    setup.bao.kv_put("db", json!({ "host": "db-0", "hosts": ["a"] })).await;
    let rotated = setup.mount(&objects).await.unwrap();
    assert_eq!(rotated.text("f"), "user=jo:5432\nhost a\n");
    assert_ne!(rotated.versions, mounted.versions);
}

#[tokio::test]
async fn equal_requests_of_templates_and_objects_are_one() {
    let setup = setup().await;
    let read = r#"{{ with secret "secret/data/app" }}{{ .Data.data.user }}{{ end }}"#;
    let objects = json!([
        { "objectName": "a", "template": read },
        { "objectName": "b", "template": format!("{read}{read}") },
        { "objectName": "c", "secretPath": "secret/data/app", "secretKey": "user" },
        { "objectName": "d", "template": "static\n" },
    ]);
    let before = setup.bao.requests_to("secret/data/app");
    let mounted = setup.mount(&objects.to_string()).await.unwrap();
    assert_eq!(["a", "b", "c", "d"].map(|name| mounted.text(name)), ["jo", "jojo", "jo", "static\n"]);
    assert_eq!(setup.bao.requests_to("secret/data/app") - before, 1);
}

#[tokio::test]
async fn what_a_template_does_not_find_is_named_without_a_value() {
    let setup = setup().await;
    let read = |body: &str| format!("x\n {{{{ with secret \"secret/data/app\" }}}}{body}{{{{ end }}}}");
    let none = json!({});
    for (text, fields, words) in [
        (read("{{ .Data.data.pasword }}"), &none, &["template, line 2, column", "pasword"][..]),
        (read("{{ .Data.data.user.first }}"), &none, &["template, line 2, column", "first"]),
        (read("{{ base64Decode .Data.data.password }}"), &none, &["not base64"]),
        (read("{{ parseJSON .Data.data.password }}"), &none, &["JSON"]),
        (read("{{ env \"HOME\" }}"), &none, &["env is not supported"]),
        (read("{{ secret .Data.data.user }}"), &none, &["texts in quotes"]),
        (read("{{ .Data"), &none, &["template line 2, column"]),
        (r#"{{ with secret "secret/data/gone" }}{{ end }}"#.to_owned(), &none, &["secret/data/gone", "404"]),
    ] {
        let refusal = setup.mount(&template(&text, fields)).await.unwrap_err();
        assert!(refusal.names(words), "{text}: {refusal:?}");
        assert!(refusal.names(&["\"f\""]), "{refusal:?}");
        assert!(!refusal.message.contains("it's"), "{refusal:?}");
    }
    let gone = template(&read("{{ .Data.data.gone }}"), &json!({ "errorOnMissingKey": false }));
    assert_eq!(setup.mount(&gone).await.unwrap().text("f"), "x\n <no value>");
    let optional = json!([
        { "objectName": "f", "template": r#"{{ with secret "secret/data/gone" }}{{ end }}"#, "optional": true },
        { "objectName": "g", "template": "g" },
    ]);
    let mounted = setup.mount(&optional.to_string()).await.unwrap();
    assert_eq!(mounted.files.keys().collect::<Vec<_>>(), ["g"]);
}

#[tokio::test]
async fn a_template_ends_at_its_budget_and_others_mount_meanwhile() {
    let setup = setup().await;
    let (begin, end) = ("{{ range $x }}".repeat(12), "{{ end }}".repeat(12));
    let long = format!("{{{{ $x := split \",\" \"a,b,c,d,e,f,g,h,i,j\" }}}}{begin}y{end}");
    let refusal = setup.mount(&template(&long, &json!({}))).await.unwrap_err();
    assert!(refusal.names(&["the template takes more than", "steps"]), "{refusal:?}");
    let large = "{{ range 100000 }}0123456789abcdef{{ end }}";
    let refusal = setup.mount(&template(large, &json!({}))).await.unwrap_err();
    assert!(refusal.names(&["the file is larger than 1048576 bytes"]), "{refusal:?}");
    let fits = "{{ range 60000 }}0123456789abcdef{{ end }}";
    let mounted = setup.mount(&template(fits, &json!({}))).await.unwrap();
    assert_eq!(mounted.text("f").len(), 960_000);
}
