//! The files that the injector writes for a workload, by the annotations that the samples have.
//! The rules are those of vault-k8s, written anew: `coffer convert` has no part in them.

use std::collections::{BTreeMap, BTreeSet};

use coffer_tests::ConsulTemplateText;
use serde_json::Value;

/// A file that the injector's agent writes.
pub(super) struct InjectedFile {
    /// The path in the container.
    pub(super) path: String,
    /// The mode.
    pub(super) mode: i32,
    /// The template that consul-template renders.
    pub(super) template: ConsulTemplateText,
}

/// Returns the template of a workload's pods.
pub(super) fn pod_template(workload: &Value) -> &Value {
    match workload["kind"].as_str() {
        Some("Pod") => workload,
        Some("CronJob") => &workload["spec"]["jobTemplate"]["spec"]["template"],
        _ => &workload["spec"]["template"],
    }
}

/// Returns the files of a workload that is to be injected.
pub(super) fn injected_files(workload: &Value) -> Vec<InjectedFile> {
    let annotations = pod_template(workload)["metadata"]["annotations"].as_object().unwrap();
    let prefix = annotations.keys().find_map(|name| name.strip_suffix("agent-inject")).unwrap();
    let value = |(name, value): (&String, &Value)| {
        Some((name.strip_prefix(prefix)?.to_owned(), value.as_str()?.to_owned()))
    };
    let annotations = Annotations(annotations.iter().filter_map(value).collect());
    annotations.secrets().into_iter().map(|name| annotations.file(name)).collect()
}

/// The annotations by their names without prefix.
struct Annotations(BTreeMap<String, String>);

impl Annotations {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the value for one secret, else the value for all of them.
    fn get_for(&self, name: &str, secret: &str) -> Option<&str> {
        self.get(&format!("{name}-{secret}")).or_else(|| self.get(name))
    }

    fn secrets(&self) -> BTreeSet<&str> {
        let kinds = ["agent-inject-secret-", "agent-inject-template-"];
        self.0.keys().filter_map(|name| kinds.iter().find_map(|kind| name.strip_prefix(kind))).collect()
    }

    fn file(&self, secret: &str) -> InjectedFile {
        let of_secret = |name: &str| self.get(&format!("{name}-{secret}"));
        let keeps_case = self.get_for("preserve-secret-case", secret) == Some("true");
        let name = if keeps_case { secret.to_owned() } else { secret.to_lowercase() };
        let directory = self.get_for("secret-volume-path", secret).unwrap_or("/vault/secrets");
        let file = of_secret("agent-inject-file").unwrap_or(&name);
        let text = |name: &str| of_secret(name).unwrap_or_default().to_owned();
        InjectedFile {
            path: format!("{directory}/{file}"),
            mode: of_secret("agent-inject-perms").map_or(0o644, |mode| i32::from_str_radix(mode, 8).unwrap()),
            template: ConsulTemplateText {
                text: of_secret("agent-inject-template")
                    .map_or_else(|| self.default_template(secret), str::to_owned),
                left: text("agent-template-left-delim"),
                right: text("agent-template-right-delim"),
                error_on_missing_key: of_secret("error-on-missing-key") == Some("true"),
            },
        }
    }

    /// Returns the injector's own template: `DefaultMapTemplate` or `DefaultJSONTemplate` of
    /// vault-k8s.
    fn default_template(&self, secret: &str) -> String {
        let template = match self.get("agent-inject-default-template") {
            None | Some("map") => {
                "{{ with secret \"PATH\" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}"
            }
            Some("json") => "{{ with secret \"PATH\" }}{{ .Data | toJSON }}\n{{ end }}",
            Some(other) => panic!("the injector refuses {other:?}"),
        };
        template.replace("PATH", self.get(&format!("agent-inject-secret-{secret}")).unwrap())
    }
}
