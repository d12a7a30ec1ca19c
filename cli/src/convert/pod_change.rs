//! The change of a workload: annotations taken away, volumes and mounts added.

use super::workload::Workload;
use super::yaml::edit::TextEdits;
use super::yaml::source::SourceNode;
use super::yaml::value::PlainValue;

/// What changes in a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PodChange {
    /// The annotations of the pod that are taken away.
    pub(super) removed: Vec<String>,
    /// The volumes that the pod gets.
    pub(super) volumes: Vec<SecretVolume>,
    /// Where containers get the volumes.
    pub(super) mounts: Vec<ContainerMounts>,
}

/// A volume with the files of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecretVolume {
    /// The volume's name.
    pub(super) name: String,
    /// The SecretProviderClass.
    pub(super) class: String,
}

/// What one container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContainerMounts {
    /// `containers` or `initContainers`.
    pub(super) list: &'static str,
    /// The index in that list.
    pub(super) index: usize,
    /// The container's name.
    pub(super) name: String,
    /// Names of volumes, and where they are mounted.
    pub(super) mounts: Vec<(String, String)>,
}

impl SecretVolume {
    /// Returns the volume as a pod's manifest has it.
    pub(super) fn value(&self) -> PlainValue {
        PlainValue::map([
            ("name", PlainValue::string(&self.name)),
            (
                "csi",
                PlainValue::map([
                    ("driver", PlainValue::string("secrets-store.csi.k8s.io")),
                    ("readOnly", PlainValue::literal("true")),
                    (
                        "volumeAttributes",
                        PlainValue::map([("secretProviderClass", PlainValue::string(&self.class))]),
                    ),
                ]),
            ),
        ])
    }
}

impl ContainerMounts {
    /// Returns the mounts as a container's manifest has them.
    pub(super) fn values(&self) -> Vec<PlainValue> {
        let mount = |(name, path): &(String, String)| {
            PlainValue::map([
                ("name", PlainValue::string(name)),
                ("mountPath", PlainValue::string(path)),
                ("readOnly", PlainValue::literal("true")),
            ])
        };
        self.mounts.iter().map(mount).collect()
    }
}

impl PodChange {
    /// Adds the mounts of a container.
    pub(super) fn add_mounts(&mut self, new: ContainerMounts) {
        let known = self.mounts.iter_mut().find(|known| known.list == new.list && known.index == new.index);
        match known {
            Some(known) => known.mounts.extend(new.mounts),
            None if new.mounts.is_empty() => {}
            None => self.mounts.push(new),
        }
    }

    /// Changes the object that is the workload.
    pub(super) fn change(&self, workload: &Workload, object: &mut PlainValue) {
        remove(object, workload, &self.removed);
        let Some(spec) = object.at_mut(&workload.in_pod(&["spec"])) else { return };
        for container in &self.mounts {
            let Some(PlainValue::List(containers)) = spec.at_mut(&[container.list]) else { continue };
            let Some(node) = containers.get_mut(container.index) else { continue };
            container.values().into_iter().for_each(|mount| node.push("volumeMounts", mount));
        }
        self.volumes.iter().for_each(|volume| spec.push("volumes", volume.value()));
    }

    /// Changes the text of the object in the same way, as far as the text allows it.
    pub(super) fn edit(&self, workload: &Workload, object: &SourceNode, edits: &mut TextEdits<'_>) {
        self.edit_annotations(workload, object, edits);
        let Some(spec) = object.at_path(&workload.in_pod(&["spec"])) else { return };
        for container in &self.mounts {
            let list = spec.at_path(&[container.list]);
            if let Some(node) = list.and_then(|list| list.items().get(container.index)) {
                edits.add(node, "volumeMounts", &container.values());
            }
        }
        let volumes: Vec<PlainValue> = self.volumes.iter().map(SecretVolume::value).collect();
        if !volumes.is_empty() {
            edits.add(spec, "volumes", &volumes);
        }
    }

    fn edit_annotations(&self, workload: &Workload, object: &SourceNode, edits: &mut TextEdits<'_>) {
        let mut path = workload.in_pod(&["metadata", "annotations"]);
        let mut names = self.removed.clone();
        // a map that would be empty goes with its name
        while let Some(map) = object.at_path(&path) {
            let left: Vec<_> = map
                .members()
                .iter()
                .filter_map(|(key, value)| Some((key.text()?.to_owned(), value)))
                .filter(|(name, _)| !names.contains(name))
                .collect();
            let Some(last) = path.last().filter(|_| left.is_empty() && path.len() > workload.pod.len())
            else {
                let left = left.into_iter().filter_map(|(name, node)| Some((name, node.value().ok()?)));
                edits.remove(map, &names, &PlainValue::Map(left.collect()));
                return;
            };
            names = vec![(*last).to_owned()];
            path.pop();
        }
    }
}

/// Removes annotations of a pod, and maps with their names of which nothing is left.
fn remove(object: &mut PlainValue, workload: &Workload, names: &[String]) {
    let mut path = workload.in_pod(&["metadata", "annotations"]);
    let mut names = names.to_vec();
    while let Some(PlainValue::Map(members)) = object.at_mut(&path) {
        members.retain(|(name, _)| !names.contains(name));
        if !members.is_empty() || path.len() == workload.pod.len() {
            return;
        }
        names = path.pop().map(str::to_owned).into_iter().collect();
    }
}
