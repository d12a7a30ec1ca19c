//! What becomes of each annotation.

use serde_json::{Value, json};

use crate::{Converted, convert, objects, pod};

/// Converts a pod with these annotations, which has one class.
fn class(annotations: &[&str]) -> (Value, Converted) {
    let converted = convert(&pod(annotations));
    let class = converted.documents()[0].clone();
    (class, converted)
}

fn only_object(annotations: &[&str]) -> Value {
    let (class, converted) = class(annotations);
    let objects = objects(&class);
    assert_eq!(objects.len(), 1, "{}", converted.report);
    objects[0].clone()
}

#[test]
fn parameters_are_those_of_the_annotations() {
    let (class, converted) = class(&[
        "agent-inject-secret-a: x/a",
        "service: https://vault.example:8200",
        "namespace: team/a",
        "auth-path: auth/k8s/prod",
        "tls-server-name: vault.example",
        "tls-skip-verify: \"T\"",
        "template-static-secret-render-interval: 1h30m",
    ]);
    let mut parameters = class["spec"]["parameters"].clone();
    parameters.as_object_mut().expect("a map").remove("objects");
    let expected = json!({
        "roleName": "shop", "vaultAddress": "https://vault.example:8200", "vaultNamespace": "team/a",
        "vaultAuthMountPath": "k8s/prod", "vaultTLSServerName": "vault.example", "vaultSkipTLSVerify": "true",
        "refreshInterval": "1h30m",
    });
    assert_eq!(parameters, expected);
    assert_eq!(class["spec"]["provider"], "vault");
    assert_eq!(converted.code, 0, "{}", converted.report);
}

#[test]
fn tls_files_are_carried_over_and_need_a_person() {
    let (class, converted) = class(&[
        "agent-inject-secret-a: x/a",
        "tls-secret: vault-tls",
        "ca-cert: /vault/tls/ca.crt",
        "client-cert: /vault/tls/client.crt",
        "client-key: /vault/tls/client.key",
    ]);
    let parameters = &class["spec"]["parameters"];
    assert_eq!(parameters["vaultCACertPath"], "/vault/tls/ca.crt");
    assert_eq!(parameters["vaultTLSClientCertPath"], "/vault/tls/client.crt");
    assert_eq!(parameters["vaultTLSClientKeyPath"], "/vault/tls/client.key");
    assert_eq!(converted.code, 1);
    assert_eq!(converted.report.matches(": needs a person: ").count(), 4, "{}", converted.report);
}

#[test]
fn the_injector_s_own_templates_are_written_out() {
    let map = "{{ with secret \"x/a\" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}";
    assert_eq!(only_object(&["agent-inject-secret-a: x/a"]), json!({"objectName": "a", "template": map}));
    let json = "{{ with secret \"x/a\" }}{{ .Data | toJSON }}\n{{ end }}";
    let object = only_object(&["agent-inject-secret-a: x/a", "agent-inject-default-template: JSON"]);
    assert_eq!(object, json!({"objectName": "a", "template": json}));
    // an empty template is none
    let object = only_object(&["agent-inject-secret-a: x/a", "agent-inject-template-a: ''"]);
    assert_eq!(object["template"], map);
    let (_, converted) =
        (0, convert(&pod(&["agent-inject-secret-a: x/a", "agent-inject-default-template: xml"])));
    assert!(converted.report.contains("none of map and json"), "{}", converted.report);
}

#[test]
fn a_template_is_carried_over_to_the_byte() {
    let text = "{{- with secret \"secret/data/a\" -}}\nA='{{ .Data.data.a }}'\n\n\tB=\"{{ .Data.data.b }}\"\n{{- end }}\n";
    let block: String = text
        .lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("      {line}\n") })
        .collect();
    let (class, converted) = class(&[format!("agent-inject-template-a: |\n{block}").trim_end()]);
    let object = &objects(&class)[0];
    assert_eq!(object["template"], text, "{}", converted.text);
    assert_eq!(object["errorOnMissingKey"], false);
    let object = only_object(&[
        "agent-inject-template-a: \"{{ with secret \\\"x/a\\\" }} {{ .Data.k }}\\r\\n{{ end }}\"",
        "error-on-missing-key-a: 'true'",
    ]);
    assert_eq!(object["template"], "{{ with secret \"x/a\" }} {{ .Data.k }}\r\n{{ end }}");
    assert_eq!(object.get("errorOnMissingKey"), None);
}

#[test]
fn other_delimiters_are_carried_over() {
    let object = only_object(&[
        "agent-inject-template-a: '[[ with secret \"x/a\" ]]<[[ .Data.k ]]>[[ end ]]'",
        "agent-template-left-delim-a: '[['",
        "agent-template-right-delim-a: ']]'",
    ]);
    assert_eq!((&object["leftDelimiter"], &object["rightDelimiter"]), (&json!("[["), &json!("]]")));
}

#[test]
fn one_key_becomes_a_secret_key() {
    let (class, converted) = class(&[
        "agent-inject-template-a: '{{- with secret \"secret/data/a\" -}}{{ .Data.data.k }}{{- end }}'",
    ]);
    let expected = json!({"objectName": "a", "secretPath": "secret/data/a", "secretKey": "k"});
    assert_eq!(objects(&class), [expected]);
    assert!(converted.report.contains(
        "simplified: pod/shop: vault.hashicorp.com/agent-inject-template-a: secretKey \"k\" of secret/data/a"
    ));
    assert!(converted.report.contains("\"<no value>\""), "{}", converted.report);
    let object = only_object(&[
        "agent-inject-template-a: '{{ with secret \"kv/data/a\" }}{{ .Data.data.k | base64Decode }}{{ end }}'",
    ]);
    assert_eq!(object["encoding"], "base64");
}

#[test]
fn files_have_the_names_and_modes_of_the_injector() {
    for (annotations, name) in [
        (&["agent-inject-secret-DB-Main.txt: x/a"][..], "db-main.txt"),
        (&["agent-inject-secret-DB: x/a", "preserve-secret-case: 'true'"], "DB"),
        (&["agent-inject-secret-DB: x/a", "preserve-secret-case-DB: 'true'"], "DB"),
        (
            &[
                "agent-inject-secret-DB: x/a",
                "preserve-secret-case: 'true'",
                "preserve-secret-case-DB: 'false'",
            ],
            "db",
        ),
        (&["agent-inject-secret-DB: x/a", "agent-inject-file-DB: Sub/./Dir//DB.env"], "Sub/Dir/DB.env"),
        (&["agent-inject-secret-DB: x/a", "agent-inject-file-DB: /abs/file"], "abs/file"),
        (&["agent-inject-template-DB: '{{ with secret \"x/a\" }}-{{ end }}'"], "db"),
    ] {
        assert_eq!(only_object(annotations)["objectName"], name, "{annotations:?}");
    }
    for (text, mode) in [("'0400'", "0400"), ("'444'", "0444"), ("\"0640\"", "0640")] {
        let object = only_object(&["agent-inject-secret-a: x/a", &format!("agent-inject-perms-a: {text}")]);
        assert_eq!(object["filePermission"], mode);
    }
    let converted = convert(&pod(&["agent-inject-secret-a: x/a", "agent-inject-file-a: ../outside"]));
    assert!(
        converted.report.contains("/vault/outside is not in the volume at /vault/secrets"),
        "{}",
        converted.report
    );
    assert_eq!(converted.code, 1);
}

#[test]
fn each_place_has_a_volume_and_a_class() {
    let converted = convert(&pod(&[
        "agent-inject-secret-a: x/a",
        "agent-inject-secret-b: x/b",
        "secret-volume-path-b: /etc/b/",
        "agent-inject-secret-c: x/c",
        "secret-volume-path-c: /vault/secrets/deep",
    ]));
    let documents = converted.documents();
    let names: Vec<_> = documents.iter().map(|document| document["metadata"]["name"].as_str()).collect();
    assert_eq!(names, [Some("shop"), Some("shop-etc-b"), Some("shop")]);
    // nothing can be mounted into a read-only volume, so the inner one is part of the outer one
    let files: Vec<_> = objects(&documents[0]).iter().map(|object| object["objectName"].clone()).collect();
    assert_eq!(files, ["a", "deep/c"]);
    let mounts = &documents[2]["spec"]["containers"][0]["volumeMounts"];
    assert_eq!(
        (&mounts[0]["mountPath"], &mounts[1]["mountPath"]),
        (&json!("/vault/secrets"), &json!("/etc/b"))
    );
    let volumes = &documents[2]["spec"]["volumes"];
    assert_eq!(volumes[1]["csi"]["volumeAttributes"]["secretProviderClass"], "shop-etc-b");

    let (class, _) = class(&["agent-inject-secret-a: x/a", "secret-volume-path: /run/x"]);
    assert_eq!(class["metadata"]["name"], "shop");
}

#[test]
fn containers_get_the_files_that_the_injector_gave_them() {
    let text = |annotations: &[&str]| {
        let pod = pod(annotations);
        pod.replace(
            "spec:\n",
            "spec:\n  initContainers: [{name: init}]\n  volumes: [{name: vault-secrets, emptyDir: {}}]\n",
        ) + "    - name: side\n      volumeMounts: [{name: x, mountPath: /vault/secrets/}]\n"
    };
    let mounted = |annotations: &[&str]| {
        let converted = convert(&text(annotations));
        let pod = converted.documents()[1].clone();
        let mounts = |list: &str, n: usize| {
            let mounts = pod["spec"][list][n]["volumeMounts"].as_array().cloned().unwrap_or_default();
            mounts.iter().any(|mount| mount["name"] == "vault-secrets-2")
        };
        ((mounts("initContainers", 0), mounts("containers", 0), mounts("containers", 1)), converted.report)
    };
    let (found, report) = mounted(&["agent-inject-secret-a: x/a"]);
    assert_eq!(found, (true, true, false));
    assert!(report.contains("container side mounts something at /vault/secrets already"), "{report}");
    let (found, report) = mounted(&["agent-inject-secret-a: x/a", "agent-inject-containers: 'side, app'"]);
    assert_eq!(found, (true, false, false));
    assert!(report.contains("agent-inject-containers names \" app\""), "{report}");
    let (found, _) = mounted(&[
        "agent-inject-secret-a: x/a",
        "agent-pre-populate: 'false'",
        "agent-inject-containers: app",
    ]);
    assert_eq!(found, (false, true, false));
}

#[test]
fn openbao_s_injector_is_converted_too() {
    for prefix in ["openbao.openbao.org/", "openbao.hashicorp.com/"] {
        let text = pod(&["agent-inject-secret-a: x/a"]).replace("vault.hashicorp.com/", prefix);
        let converted = convert(&text);
        assert_eq!(converted.documents()[0]["spec"]["provider"], "openbao");
        assert!(!converted.text.contains(prefix), "{}", converted.text);
        assert_eq!(converted.code, 0, "{}", converted.report);
    }
}

#[test]
fn a_path_that_may_lack_its_data_is_named() {
    for (annotation, words) in [
        (
            "agent-inject-template-a: '{{ with secret \"team/shop/a\" }}{{ .Data.data.k }}{{ end }}'",
            "write team/data/shop/a",
        ),
        ("agent-inject-secret-a: secret/shop", "write secret/data/shop"),
    ] {
        let converted = convert(&pod(&[annotation]));
        assert!(
            converted.report.contains(words) && converted.report.contains(": warning: "),
            "{}",
            converted.report
        );
    }
    for annotation in ["agent-inject-secret-a: database/creds/a", "agent-inject-secret-a: secret/data/a"] {
        let converted = convert(&pod(&[annotation]));
        assert!(converted.report.contains(" 0 warnings"), "{}", converted.report);
    }
}

#[test]
fn the_audience_of_the_agent_s_token_is_carried_over() {
    let text = pod(&["agent-inject-secret-a: x/a", "agent-service-account-token-volume-name: token"])
        + "  volumes:\n    - name: token\n      projected:\n        sources:\n          - serviceAccountToken: {path: t, audience: vault-prod}\n";
    let converted = convert(&text);
    assert_eq!(converted.documents()[0]["spec"]["parameters"]["audience"], "vault-prod");
}
