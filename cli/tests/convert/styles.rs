//! Whatever way a manifest is written: only what has to change changes.

use crate::{convert, documents};

/// What every pod here gets, as a block that is indented by two more columns for each level.
const VOLUME: &str = "\
volumes:
  - name: vault-secrets
    csi:
      driver: secrets-store.csi.k8s.io
      readOnly: true
      volumeAttributes:
        secretProviderClass: p
";

const MOUNT: &str = "\
- name: vault-secrets
  mountPath: /vault/secrets
  readOnly: true
";

fn indented(text: &str, indent: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// Asserts that a manifest becomes this one, that it says so for every parser, and that it stays
/// so when it is converted again.
fn assert_becomes(before: &str, after: &str) {
    let converted = convert(before);
    assert_eq!(converted.manifest(), after, "{}", converted.report);
    assert_eq!(converted.code, 0, "{}", converted.report);
    let again = convert(&converted.text);
    assert_eq!(again.text, converted.text);
    assert!(again.report.contains("0 of 0 workloads converted"), "{}", again.report);
    documents(&converted.text);
}

#[test]
fn comments_order_and_quotes_stay() {
    let before = "\
# The shop.

kind: Pod   # what it is
apiVersion: v1
metadata:
  annotations:
    # for Prometheus
    prometheus.io/scrape: 'true'
    # for Vault
    vault.hashicorp.com/agent-inject: \"true\" # on
    \"vault.hashicorp.com/role\": r
    'vault.hashicorp.com/agent-inject-secret-a': x/a
    vault.hashicorp.com/agent-inject-template-a: |
      {{ with secret \"x/a\" }}
      # no comment
      {{ end }}

    last: >-
      text
      of two lines
  name: p
spec:
  volumes:
    # what is there
    - name: data
      emptyDir: {}   # empty

  # the containers
  containers:
    - image: i
      volumeMounts:
        - {name: data, mountPath: /data}
        # after the mounts
      name: app
    # after the containers
  # after the pod
# the end
";
    let after = before
        .replace("    vault.hashicorp.com/agent-inject: \"true\" # on\n", "")
        .replace("    \"vault.hashicorp.com/role\": r\n", "")
        .replace("    'vault.hashicorp.com/agent-inject-secret-a': x/a\n", "")
        .replace(
            "    vault.hashicorp.com/agent-inject-template-a: |\n      {{ with secret \"x/a\" }}\n      # no comment\n      {{ end }}\n",
            "",
        )
        .replace(
            "        - {name: data, mountPath: /data}\n",
            &format!("        - {{name: data, mountPath: /data}}\n{}", indented(MOUNT, 8)),
        )
        .replace(
            "      emptyDir: {}   # empty\n",
            &format!("      emptyDir: {{}}   # empty\n{}", indented(VOLUME.split_once('\n').expect("lines").1, 2)),
        );
    assert_becomes(before, &after);
}

const ANNOTATIONS: &str = "\
vault.hashicorp.com/agent-inject: \"true\"
vault.hashicorp.com/role: r
vault.hashicorp.com/agent-inject-secret-a: x/a
";

#[test]
fn lists_are_written_as_the_manifest_writes_its_own() {
    let before = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n{}    x: y\nspec:\n  containers:\n  -\n    name: app\n  - name: other\n    volumeMounts: []\n  - name: third\n    volumeMounts:\n",
        indented(ANNOTATIONS, 4)
    );
    let mounts = format!("    volumeMounts:\n{}", indented(MOUNT, 4));
    let volume = indented(VOLUME, 2).replace("\n    ", "\n  ");
    let after = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    x: y\nspec:\n  containers:\n  -\n    name: app\n{mounts}  - name: other\n{mounts}  - name: third\n{mounts}{volume}"
    );
    assert_becomes(&before, &after);
}

#[test]
fn a_map_of_annotations_goes_when_it_is_empty() {
    let before = format!(
        "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: p}}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        metadata:\n          annotations:\n{}        spec:\n          containers:\n            - name: app\n",
        indented(ANNOTATIONS, 12)
    );
    let after = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: p}}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          containers:\n            - name: app\n              volumeMounts:\n{}{}",
        indented(MOUNT, 16),
        indented(VOLUME, 10)
    );
    assert_becomes(&before, &after);
}

#[test]
fn line_breaks_of_windows_stay() {
    let unix = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    x: y\n{}spec:\n  containers:\n    - name: app\n",
        indented(ANNOTATIONS, 4)
    );
    let converted = convert(&unix);
    let windows = convert(&unix.replace('\n', "\r\n"));
    assert_eq!(windows.text, converted.text.replace('\n', "\r\n"));
    assert_eq!(convert(&windows.text).text, windows.text);
}

#[test]
fn a_file_may_end_without_a_line_break() {
    let before = format!(
        "spec:\n  containers:\n    - name: app\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n{}",
        indented(ANNOTATIONS, 4)
    );
    let after = format!(
        "spec:\n  containers:\n    - name: app\n      volumeMounts:\n{}{}apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n",
        indented(MOUNT, 8),
        indented(VOLUME, 2)
    );
    assert_becomes(before.trim_end(), &after);
}

#[test]
fn maps_in_braces_stay_in_braces() {
    let before = "\
apiVersion: v1
kind: Pod
metadata: {name: p, annotations: {x: y, vault.hashicorp.com/agent-inject: 'true', vault.hashicorp.com/role: r, vault.hashicorp.com/agent-inject-secret-a: x/a}}
spec: {containers: [{name: app, volumeMounts: [{name: d, mountPath: /d}]}, {name: b}]} # all
";
    let mount = "{name: vault-secrets, mountPath: /vault/secrets, readOnly: true}";
    let after = format!(
        "\
apiVersion: v1
kind: Pod
metadata: {{name: p, annotations: {{x: y}}}}
spec: {{containers: [{{name: app, volumeMounts: [{{name: d, mountPath: /d}}, {mount}]}}, {{name: b, volumeMounts: [{mount}]}}], volumes: [{{name: vault-secrets, csi: {{driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {{secretProviderClass: p}}}}}}]}} # all
"
    );
    assert_becomes(before, &after);
}

#[test]
fn several_documents_and_lists_are_converted_in_their_places() {
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n{}spec:\n  containers:\n    - name: app\n",
        indented(ANNOTATIONS, 4)
    );
    let list = format!("kind: List\napiVersion: v1\nitems:\n  - kind: Service\n  -\n{}", indented(&pod, 4));
    let text = format!("# first\nkind: Service\n---\n{pod}--- # again\n{list}...\n");
    let converted = convert(&text);
    let documents = converted.documents();
    let kinds: Vec<_> = documents.iter().map(|document| document["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["Service", "SecretProviderClass", "Pod", "SecretProviderClass", "List"]);
    // two pods of one name need classes of two names
    assert_eq!(documents[1]["metadata"]["name"], "p");
    assert_eq!(documents[3]["metadata"]["name"], "p-pod");
    let volume = &documents[4]["items"][1]["spec"]["volumes"][0];
    assert_eq!(volume["csi"]["volumeAttributes"]["secretProviderClass"], "p-pod");
    assert!(
        converted.text.starts_with("# first\nkind: Service\n---\n# The files of pod/p"),
        "{}",
        converted.text
    );
    assert!(converted.text.ends_with("...\n"), "{}", converted.text);
    assert_eq!(convert(&converted.text).text, converted.text);
}

#[test]
fn what_is_shared_by_aliases_is_changed_where_it_is_written() {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n{}spec:\n  containers:\n    - name: a\n      volumeMounts: &mounts # shared\n        - name: d\n          mountPath: /d\n    - name: b\n      volumeMounts: *mounts\n",
        indented(ANNOTATIONS, 4)
    );
    let converted = convert(&text);
    assert!(converted.manifest().contains("volumeMounts: *mounts"), "{}", converted.text);
    assert!(converted.manifest().contains("# shared"), "{}", converted.text);
    let pod = &converted.documents()[1];
    assert_eq!(pod["spec"]["containers"][1]["volumeMounts"][1]["mountPath"], "/vault/secrets");
}

#[test]
fn a_document_that_cannot_be_changed_in_place_is_written_anew() {
    // one of two containers gets what both share; annotations come by a merge key
    let shared = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n{}    vault.hashicorp.com/agent-inject-containers: a\nspec: # gone\n  containers:\n    - name: a\n      volumeMounts: &mounts\n        - name: d\n          mountPath: /d\n    - name: b\n      args: ['yes', \"2\", 3, |\n        x]\n      volumeMounts: *mounts\n",
        indented(ANNOTATIONS, 4)
    )
    .replace("'yes', \"2\", 3, |\n        x]", "'yes', \"2\", 3]");
    let converted = convert(&shared);
    assert!(converted.report.contains("written anew, without its comments"), "{}", converted.report);
    let pod = &converted.documents()[1];
    let mounts = |n: usize| pod["spec"]["containers"][n]["volumeMounts"].as_array().expect("mounts").len();
    assert_eq!((mounts(0), mounts(1)), (2, 1), "{pod}");
    assert_eq!(pod["spec"]["containers"][1]["args"], serde_json::json!(["yes", "2", 3]));
    assert!(!converted.text.contains("gone"));

    let merged = format!(
        "x: &vault\n{}apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    <<: *vault\n    y: z\nspec:\n  containers:\n    - name: a\n",
        indented(ANNOTATIONS, 2)
    );
    let converted = convert(&merged);
    assert_eq!(converted.documents()[1]["metadata"]["annotations"], serde_json::json!({"y": "z"}));
    assert!(converted.report.contains("1 of 1 workload converted"), "{}", converted.report);
}

#[test]
fn json_stays_json() {
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "annotations": {
            "vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/role": "r",
            "vault.hashicorp.com/agent-inject-secret-a": "x/a", "n": "\u{e9}\"\\\n",
        }},
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080}], "tty": true, "x": null}]},
    });
    let mut pretty = format!("{pod:#}\n").replace("  ", "\t");
    for _ in 0..2 {
        let converted = convert(&pretty);
        let list: serde_json::Value = serde_json::from_str(&converted.text).expect("JSON");
        let (class, pod) = (&list["items"][0], &list["items"][1]);
        assert_eq!(class["kind"], "SecretProviderClass");
        assert_eq!(pod["metadata"]["annotations"], serde_json::json!({"n": "\u{e9}\"\\\n"}));
        assert_eq!(pod["spec"]["containers"][0]["ports"][0]["containerPort"], 8080);
        assert_eq!(pod["spec"]["containers"][0]["x"], serde_json::Value::Null);
        assert_eq!(convert(&converted.text).text, converted.text);
        pretty = pod_of(&pretty);
    }
    let two = format!("{pod}{pod}");
    let converted = convert(&two);
    let values: Result<Vec<serde_json::Value>, _> =
        serde_json::Deserializer::from_str(&converted.text).into_iter().collect();
    assert_eq!(values.expect("JSON").len(), 4, "{}", converted.text);
}

/// Returns the same JSON on one line.
fn pod_of(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    value.to_string()
}
