//! What needs a person, and what needs nobody.

use crate::{convert, pod};

#[test]
fn what_somebody_has_to_do_is_said() {
    for (annotation, words) in [
        ("agent-inject-command-a: kill 1", "nothing runs a command"),
        ("agent-inject-token: 'true'", "no file has a Vault token"),
        ("agent-extra-secret: s", "reads no Secret of Kubernetes"),
        ("auth-type: aws", "by Vault's auth methods kubernetes and jwt"),
        ("auth-config-region: eu", "by Vault's auth methods kubernetes and jwt"),
        ("auth-config-token-path: /x", "name it as audience"),
        ("agent-inject-template-file-b: /x", "copy its text"),
        ("agent-cache-enable: 'true'", "no Vault Agent beside the program"),
        ("agent-telemetry-disable-hostname: 'true'", "metrics"),
        ("proxy-address: http://user:hunter2@proxy:3128", "VAULT_PROXY_ADDR"),
        ("agent-enable-quit: 'true'", "no agent to quit"),
        ("agent-share-process-namespace: 'true'", "set shareProcessNamespace"),
        ("role: '{{ .Values.role }}'", "not rendered yet"),
        ("agent-inject-perms-a: rw", "no mode of a file"),
        ("tls-skip-verify: maybe", "no boolean"),
    ] {
        let converted = convert(&pod(&["agent-inject-secret-a: x/a", annotation]).replace(
            if annotation.starts_with("role") { "    vault.hashicorp.com/role: shop\n" } else { "\n\n" },
            if annotation.starts_with("role") { "" } else { "\n\n" },
        ));
        let name = annotation.split(':').next().expect("a name");
        let line = converted.report.lines().find(|line| {
            line.contains(": needs a person: ") && line.contains(&format!("vault.hashicorp.com/{name}: "))
        });
        assert!(line.is_some_and(|line| line.contains(words)), "{annotation}: {}", converted.report);
        assert_eq!(converted.code, 1, "{annotation}");
        assert!(!converted.report.contains("hunter2"), "{}", converted.report);
    }
}

#[test]
fn what_was_switched_off_needs_nobody() {
    let converted = convert(&pod(&[
        "agent-inject-secret-a: x/a",
        "agent-inject-token: 'false'",
        "agent-cache-enable: 'false'",
        "agent-cache-listener-port: '8200'",
        "agent-enable-quit: 'false'",
        "agent-limits-cpu: 100m",
        "agent-run-as-same-user: 'true'",
        "agent-init-first: 'true'",
        "agent-pre-populate-only: 'true'",
    ]));
    assert_eq!(converted.code, 0, "{}", converted.report);
    assert!(converted.report.contains(" 8 nothing to do,"), "{}", converted.report);
    assert!(!converted.text.contains("vault.hashicorp.com"), "{}", converted.text);
}

#[test]
fn what_the_injector_leaves_alone_stays() {
    let inject = "vault.hashicorp.com/agent-inject: \"true\"";
    for (text, words) in [
        (
            pod(&["agent-inject-secret-a: x/a"])
                .replace(inject, "vault.hashicorp.com/agent-inject: \"false\""),
            "agent-inject is false",
        ),
        (pod(&["agent-inject-secret-a: x/a"]).replace(inject, "x: y"), "without agent-inject"),
        (
            pod(&["agent-inject-secret-a: x/a", "agent-inject-status: injected"]),
            "has changed this pod already",
        ),
        (pod(&["agent-inject-secret-a: x/a", "agent-configmap: c"]), "its own configuration"),
        (pod(&["agent-inject-token: 'true'"]), "there is nothing to mount"),
        (
            pod(&["agent-inject-secret-a: x/a"]).replace("    vault.hashicorp.com/role: shop\n", ""),
            "role is missing",
        ),
    ] {
        let converted = convert(&text);
        assert_eq!(converted.text, text, "{words}");
        assert!(converted.report.contains(words), "{words}: {}", converted.report);
    }
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  annotations:\n    vault.hashicorp.com/agent-inject: 'true'\nspec:\n  template:\n    spec:\n      containers: []\n";
    let converted = convert(deployment);
    assert_eq!(converted.text, deployment);
    assert!(converted.report.contains("it has no effect: the injector reads the annotations of pods, in spec.template.metadata.annotations"), "{}", converted.report);
}
