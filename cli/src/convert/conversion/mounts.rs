//! The volumes and mounts that a pod gets.

use crate::convert::class::ConvertedClass;
use crate::convert::go_text::join_path;
use crate::convert::injection::{Injection, InjectionNote};
use crate::convert::outcome::ConvertOutcome;
use crate::convert::pod_change::{ContainerMounts, PodChange, SecretVolume};
use crate::convert::workload::Workload;
use crate::convert::yaml::value::PlainValue;

/// Adds volumes for the classes, and their mounts. What is said of that is said of the annotation
/// `switch`.
pub(super) fn pod_change(
    workload: &Workload,
    object: &PlainValue,
    injection: &Injection,
    classes: &[ConvertedClass],
    switch: &str,
    change: &mut PodChange,
    notes: &mut Vec<InjectionNote>,
) {
    let first = change.volumes.len();
    for class in classes {
        let name = free_name(workload, object, change);
        change.volumes.push(SecretVolume { name, class: class.name.clone() });
    }
    let places: Vec<(String, String)> = change.volumes[first..]
        .iter()
        .zip(classes)
        .map(|(volume, class)| (volume.name.clone(), class.mount_path.clone()))
        .collect();
    let mut note = |outcome, message| {
        notes.push(InjectionNote { annotation: switch.to_owned(), outcome, message });
    };
    let lists: &[&'static str] =
        if injection.init_containers { &["containers", "initContainers"] } else { &["containers"] };
    let mut found = Vec::new();
    for list in lists.iter().copied() {
        let containers =
            object.at(&workload.in_pod(&["spec", list])).map(PlainValue::items).unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            let name = container.get("name").and_then(PlainValue::text).unwrap_or_default();
            found.extend((list == "containers").then_some(name));
            // the injector takes the list of containers for those that are no init containers
            let is_named =
                injection.containers.as_ref().is_none_or(|names| names.iter().any(|known| known == name));
            if list == "containers" && !is_named {
                continue;
            }
            let (taken, free): (Vec<_>, Vec<_>) =
                places.iter().cloned().partition(|(_, path)| mounts_at(container, path));
            for (_, path) in taken {
                note(
                    ConvertOutcome::NeedsPerson,
                    format!(
                        "container {name} mounts something at {path} already: decide which of them stays"
                    ),
                );
            }
            change.add_mounts(ContainerMounts { list, index, name: name.to_owned(), mounts: free });
        }
    }
    for name in injection.containers.iter().flatten().filter(|name| !found.contains(&name.as_str())) {
        note(
            ConvertOutcome::Warning,
            format!(
                "agent-inject-containers names {name:?}, but no container has that name: the injector ignores it"
            ),
        );
    }
}

/// Returns the audience of the token in a projected volume of the pod.
pub(super) fn token_audience(workload: &Workload, object: &PlainValue, volume: &str) -> Option<String> {
    let volumes = object.at(&workload.in_pod(&["spec", "volumes"]))?.items();
    let volume = volumes.iter().find(|known| known.get("name").and_then(PlainValue::text) == Some(volume))?;
    let sources = volume.at(&["projected", "sources"])?.items();
    let audience =
        |source: &PlainValue| source.at(&["serviceAccountToken", "audience"])?.text().map(str::to_owned);
    sources.iter().find_map(audience)
}

fn mounts_at(container: &PlainValue, path: &str) -> bool {
    let mounts = container.get("volumeMounts").map(PlainValue::items).unwrap_or_default();
    let at = |mount: &PlainValue| Some(join_path(mount.get("mountPath")?.text()?, ""));
    mounts.iter().filter_map(at).any(|known| known == path)
}

/// Returns a name for a volume that the pod does not have yet.
fn free_name(workload: &Workload, object: &PlainValue, change: &PodChange) -> String {
    let volumes =
        object.at(&workload.in_pod(&["spec", "volumes"])).map(PlainValue::items).unwrap_or_default();
    let is_taken = |name: &str| {
        volumes.iter().any(|volume| volume.get("name").and_then(PlainValue::text) == Some(name))
            || change.volumes.iter().any(|volume| volume.name == name)
    };
    let mut name = "vault-secrets".to_owned();
    let mut n = 1;
    while is_taken(&name) {
        n += 1;
        name = format!("vault-secrets-{n}");
    }
    name
}
