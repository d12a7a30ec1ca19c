//! A DaemonSet or Deployment, and what its main container is started with.

use serde_json::{Value, json};

use super::command::{command, json_patch};
use super::object::{full_name, items, label, name, namespace, text};

/// A DaemonSet or Deployment.
pub(super) struct Workload {
    /// `daemonset` or `deployment`.
    kind: &'static str,
    /// The object.
    pub(super) object: Value,
}

/// The content of a file in a container.
pub(super) enum FileSource {
    /// A key of a ConfigMap.
    ConfigMap(String, String),
    /// A key of a Secret.
    Secret(String, String),
    /// A file of the node or of the image.
    Elsewhere,
}

impl Workload {
    /// Returns the workload of an object.
    pub(super) fn new(kind: &'static str, object: Value) -> Self {
        Self { kind, object }
    }

    /// Tells whether it is one of Coffer's, by the label that chart and manifests set, or by the image:
    /// that of another provider's DaemonSet may have been replaced.
    pub(super) fn is_coffers(&self) -> bool {
        let image = image_path(self.image()).rsplit('/').next();
        label(&self.object, "app.kubernetes.io/part-of") == "coffer"
            || matches!(image, Some("coffer-csi" | "coffer-api-server"))
    }

    /// Tells whether it is the Secrets Store CSI driver for Linux, of any distribution.
    pub(super) fn is_driver(&self) -> bool {
        let container = self.container();
        let is_windows = text(&self.pod()["nodeSelector"], "kubernetes.io/os") == "windows";
        let has_flag = self.flag("provider-volume").is_some();
        let is_image = image_path(text(container, "image")).ends_with("csi-secrets-store/driver");
        !is_windows && (has_flag || is_image || text(container, "name") == "secrets-store")
    }

    /// Returns `KIND/NAME`, as kubectl takes it.
    pub(super) fn argument(&self) -> String {
        format!("{}/{}", self.kind, self.name())
    }

    /// Returns kind, namespace and name, for messages.
    pub(super) fn title(&self) -> String {
        let kind = if self.kind == "daemonset" { "DaemonSet" } else { "Deployment" };
        format!("{kind} {}", full_name(&self.object))
    }

    /// Returns the name.
    pub(super) fn name(&self) -> &str {
        name(&self.object)
    }

    /// Returns the namespace.
    pub(super) fn namespace(&self) -> &str {
        namespace(&self.object)
    }

    /// Returns the service account of the pods.
    pub(super) fn account(&self) -> &str {
        Some(text(self.pod(), "serviceAccountName")).filter(|name| !name.is_empty()).unwrap_or("default")
    }

    /// Returns the `PodSpec`.
    pub(super) fn pod(&self) -> &Value {
        &self.object["spec"]["template"]["spec"]
    }

    /// Returns name and namespace of the Helm release that it belongs to, if it does.
    pub(super) fn release(&self) -> Option<(&str, &str)> {
        release(&self.object)
    }

    /// Tells whether a pod belongs to it.
    pub(super) fn owns(&self, pod: &Value) -> bool {
        let selector = self.object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        namespace(pod) == self.namespace()
            && selector.is_some_and(|labels| labels.iter().all(|(key, value)| label(pod, key) == value))
    }

    /// Returns the image of the main container.
    pub(super) fn image(&self) -> &str {
        text(self.container(), "image")
    }

    /// Returns the name of the main container.
    pub(super) fn container_name(&self) -> &str {
        text(self.container(), "name")
    }

    /// Returns the version: the image's tag, or the version in the labels.
    pub(super) fn version(&self) -> Option<&str> {
        let template = &self.object["spec"]["template"];
        let labelled = label(template, "app.kubernetes.io/version");
        version_of(self.image()).or(Some(labelled).filter(|version| !version.is_empty()))
    }

    /// Returns a flag's value, given without dashes; `true` for a flag without a value.
    pub(super) fn flag(&self, flag: &str) -> Option<String> {
        self.flag_place(flag).map(|(_, value)| value)
    }

    /// Returns the value of an environment variable, if the manifest itself has it.
    pub(super) fn env(&self, variable: &str) -> Option<String> {
        let mut set = items(&self.container()["env"]).iter().rev();
        set.find(|env| text(env, "name") == variable)?["value"].as_str().map(str::to_owned)
    }

    /// Returns the path on the node of a path in the main container.
    pub(super) fn host_path(&self, path: &str) -> Option<String> {
        let (volume, rest) = self.volume_of(path)?;
        let host = text(&volume["hostPath"], "path");
        (!host.is_empty()).then(|| format!("{}{rest}", host.trim_end_matches('/')))
    }

    /// Returns where the content of a file in the main container comes from.
    pub(super) fn file_source(&self, path: &str) -> FileSource {
        let Some((volume, rest)) = self.volume_of(path) else { return FileSource::Elsewhere };
        let rest = rest.trim_start_matches('/');
        let key = |items_of: &Value| {
            let item = items(&items_of["items"]).iter().find(|item| text(item, "path") == rest);
            item.map_or(rest, |item| text(item, "key")).to_owned()
        };
        let (map, secret) = (&volume["configMap"], &volume["secret"]);
        if map.is_object() {
            FileSource::ConfigMap(text(map, "name").to_owned(), key(map))
        } else if secret.is_object() {
            FileSource::Secret(text(secret, "secretName").to_owned(), key(secret))
        } else {
            FileSource::Elsewhere
        }
    }

    /// Returns the command that sets a flag of the main container.
    pub(super) fn set_flag(&self, flag: &str, value: &str) -> String {
        let container = format!("/spec/template/spec/containers/{}", self.container_index());
        let argument = json!(format!("--{flag}={value}"));
        let is_joined = |index: &usize| {
            items(&self.container()["args"])[*index].as_str().is_some_and(|argument| argument.contains('='))
        };
        let operation = match self.flag_place(flag).map(|(index, _)| index).filter(is_joined) {
            Some(index) => {
                json!({ "op": "replace", "path": format!("{container}/args/{index}"), "value": argument })
            }
            None if self.container()["args"].is_array() => {
                json!({ "op": "add", "path": format!("{container}/args/-"), "value": argument })
            }
            None => json!({ "op": "add", "path": format!("{container}/args"), "value": [argument] }),
        };
        json_patch(&self.argument(), Some(self.namespace()), &json!([operation]))
    }

    /// Returns the command that makes everything anew that the Helm release has; without a release
    /// `otherwise`.
    pub(super) fn restored(&self, otherwise: impl FnOnce() -> String) -> String {
        self.release().map_or_else(otherwise, |(release, namespace)| {
            let manifest = command(["helm", "get", "manifest", release, "--namespace", namespace]);
            format!("{manifest} | kubectl apply --filename -")
        })
    }

    /// Returns the place of a flag in the arguments, and its value; of several the last counts.
    fn flag_place(&self, flag: &str) -> Option<(usize, String)> {
        let arguments = items(&self.container()["args"]);
        let mut found = None;
        for (index, argument) in arguments.iter().enumerate() {
            let argument = argument.as_str().unwrap_or_default();
            let Some(rest) = argument.trim_start_matches('-').strip_prefix(flag) else { continue };
            if !argument.starts_with('-') {
                continue;
            }
            if let Some(value) = rest.strip_prefix('=') {
                found = Some((index, value.to_owned()));
            } else if rest.is_empty() {
                let next = arguments.get(index + 1).and_then(Value::as_str);
                let value = next.filter(|next| !next.starts_with('-')).unwrap_or("true");
                found = Some((index, value.to_owned()));
            }
        }
        found
    }

    fn container(&self) -> &Value {
        &items(&self.pod()["containers"])[self.container_index()]
    }

    fn container_index(&self) -> usize {
        let annotations = &self.object["spec"]["template"]["metadata"]["annotations"];
        let main = text(annotations, "kubectl.kubernetes.io/default-container");
        let containers = items(&self.pod()["containers"]);
        let find = |name: &str| containers.iter().position(|container| text(container, "name") == name);
        find(main).or_else(|| find("secrets-store")).unwrap_or_default()
    }

    /// Returns the volume that is mounted at a path or above, and the path within.
    fn volume_of<'a>(&self, path: &'a str) -> Option<(&Value, &'a str)> {
        let within = |mount: &Value| {
            let rest = path.strip_prefix(text(mount, "mountPath").trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        let mounts = items(&self.container()["volumeMounts"]).iter();
        let mounts = mounts.filter_map(|mount| Some((mount, within(mount)?)));
        let (mount, rest) = mounts.min_by_key(|(_, rest)| rest.len())?;
        let named = |volume: &&Value| text(volume, "name") == text(mount, "name");
        Some((items(&self.pod()["volumes"]).iter().find(named)?, rest))
    }
}

/// Returns name and namespace of the Helm release that an object belongs to.
pub(super) fn release(object: &Value) -> Option<(&str, &str)> {
    let annotation =
        |member| Some(text(&object["metadata"]["annotations"], member)).filter(|a| !a.is_empty());
    annotation("meta.helm.sh/release-name").zip(annotation("meta.helm.sh/release-namespace"))
}

/// Returns the version that an image's tag is; none if the tag is no version.
pub(super) fn version_of(image: &str) -> Option<&str> {
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    let version = tag.strip_prefix('v').unwrap_or(tag);
    let starts = version.split('.').take(2).filter(|part| part.parse::<u32>().is_ok()).count();
    (starts == 2).then_some(version)
}

/// Returns an image's path, without tag and digest.
fn image_path(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => path,
        _ => image,
    }
}
