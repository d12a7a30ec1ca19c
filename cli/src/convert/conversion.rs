//! The conversion of one workload.

mod mounts;
mod verdict;

use std::collections::BTreeSet;

use self::mounts::{pod_change, token_audience};
use self::verdict::class_faults;
use super::ConvertContext;
use super::class::ConvertedClass;
use super::injection::{Injection, InjectionNote, InjectorAnnotations};
use super::known;
use super::live::Pod;
use super::outcome::ConvertOutcome;
use super::pod_change::PodChange;
use super::refine::refine;
use super::workload::Workload;
use super::yaml::value::PlainValue;

/// What a workload becomes.
#[derive(Debug, Default)]
pub(super) struct Conversion {
    /// Whether the injector acts on the workload's pods.
    pub(super) is_injected: bool,
    /// The classes; none if the workload stays as it is.
    pub(super) classes: Vec<ConvertedClass>,
    /// The change of the workload.
    pub(super) change: PodChange,
    /// What is said of the annotations.
    pub(super) notes: Vec<InjectionNote>,
}

/// The names of classes that are taken, with their namespaces.
#[derive(Debug, Default)]
pub(super) struct ClassNames(BTreeSet<(Option<String>, String)>);

impl ClassNames {
    /// Marks a name as taken.
    pub(super) fn take(&mut self, namespace: Option<&str>, name: &str) -> bool {
        self.0.insert((namespace.map(str::to_owned), name.to_owned()))
    }

    /// Gives a class a name that is free: the workload's, with the kind and the place where that is
    /// needed.
    fn name(&mut self, class: &mut ConvertedClass, kind: &str, is_first: bool) {
        let place = class.mount_path.trim_matches('/').to_lowercase();
        let place: String = place.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let base = class.name.clone();
        let first = if is_first { base.clone() } else { format!("{base}-{place}") };
        let with_kind = format!("{first}-{}", kind.to_lowercase());
        let numbered = (2..).map(|n| format!("{first}-{n}"));
        let free = [first.clone(), with_kind].into_iter().chain(numbered);
        for name in free.map(|name| shortened(&name)) {
            if self.take(class.namespace.as_deref(), &name) {
                class.name = name;
                return;
            }
        }
    }
}

/// Returns a name that Kubernetes takes for an object.
fn shortened(name: &str) -> String {
    let short: String = name.chars().take(253).collect();
    short.trim_matches(['-', '.']).to_owned()
}

impl Conversion {
    /// Converts a workload.
    pub(super) fn of(workload: &Workload, object: &PlainValue, context: &mut ConvertContext<'_>) -> Self {
        let account = object.at(&workload.in_pod(&["spec", "serviceAccountName"])).and_then(PlainValue::text);
        let pod = Pod {
            namespace: workload.namespace.as_deref(),
            service_account: account.unwrap_or("default"),
            workload: workload.title(),
        };
        let annotations = annotations(object.at(&workload.in_pod(&["metadata", "annotations"])));
        let mut conversion = Self::default();
        conversion.notes.extend(without_effect(workload, object));
        for mut injector in InjectorAnnotations::all_of(&annotations) {
            conversion.is_injected = true;
            let mut injection = injector.read();
            if let Some(name) = &injection.token_volume
                && let Some(audience) = token_audience(workload, object, name)
            {
                injection.parameters.push(("audience", audience));
            }
            let removed: Vec<String> = injector.names().iter().map(|name| injector.full(name)).collect();
            let reason = refusal(workload, &injector, &injection);
            let switch = injector.full("agent-inject");
            let mut notes = std::mem::take(&mut injector.notes);
            if let Some(message) = reason {
                notes.retain(|note| {
                    matches!(note.outcome, ConvertOutcome::NeedsPerson | ConvertOutcome::Warning)
                        && note.annotation != switch
                });
                notes.push(InjectionNote {
                    annotation: switch,
                    outcome: ConvertOutcome::NeedsPerson,
                    message,
                });
                conversion.notes.extend(notes);
                continue;
            }
            let mut classes = ConvertedClass::of(workload, &injection, context.provider);
            for (n, class) in classes.iter_mut().enumerate() {
                context.names.name(class, &workload.kind, n == 0);
                class.remove_doubles(&mut notes, &|name| injector.full(name));
                notes.extend(refine(class, &pod, context, &|name| injector.full(name)));
                notes.extend(class_faults(class, &|name| injector.full(name)));
            }
            conversion.change.removed.extend(removed);
            pod_change(workload, object, &injection, &classes, &switch, &mut conversion.change, &mut notes);
            conversion.classes.extend(classes);
            conversion.notes.extend(without_contradictions(notes));
        }
        if conversion.classes.is_empty() {
            conversion.change = PodChange::default();
        }
        conversion
    }
}

/// Takes out that an annotation was carried over if something more is said of it.
fn without_contradictions(mut notes: Vec<InjectionNote>) -> Vec<InjectionNote> {
    use ConvertOutcome::{CarriedOver, NeedsPerson, Simplified};
    let more = notes.iter().filter(|note| matches!(note.outcome, NeedsPerson | Simplified));
    let more: BTreeSet<String> = more.map(|note| note.annotation.clone()).collect();
    notes.retain(|note| {
        let known = known::split(&note.annotation).and_then(|(_, name)| known::find(name));
        let is_general = known.is_some_and(|(known, _)| known.message == note.message);
        note.outcome != CarriedOver || !is_general || !more.contains(&note.annotation)
    });
    notes
}

/// Returns the annotations of a pod.
fn annotations(map: Option<&PlainValue>) -> Vec<(String, String)> {
    let text = |(name, value): &(String, PlainValue)| Some((name.clone(), value.text()?.to_owned()));
    map.map(PlainValue::members).unwrap_or_default().iter().filter_map(text).collect()
}

/// Returns why a workload stays as it is.
fn refusal(workload: &Workload, injector: &InjectorAnnotations<'_>, injection: &Injection) -> Option<String> {
    let reason = if injector.get("agent-inject-status") == Some("injected") {
        if workload.kind == "Pod" {
            "the injector has changed this pod already: convert the manifest that it comes from"
        } else {
            "agent-inject-status says that the injector has acted, so it leaves these pods alone: take both annotations \
             out, or agent-inject-status alone to convert the rest"
        }
    } else if injector.get("agent-configmap").is_some_and(|name| !name.is_empty()) {
        "the agent reads its own configuration, and no other annotation says what is written"
    } else if injection.secrets.is_empty() {
        "no annotation names a secret that can be carried over: there is nothing to mount"
    } else if !injection.parameters.iter().any(|(name, _)| *name == "roleName") {
        "the annotation role is missing, and so the injector refuses the pod: name the role of Vault's auth method"
    } else {
        return None;
    };
    Some(format!("not converted: {reason}"))
}

/// Says of annotations that the injector does not act on why it does not.
fn without_effect(workload: &Workload, object: &PlainValue) -> Vec<InjectionNote> {
    let mut notes = Vec::new();
    let in_pod = workload.in_pod(&["metadata", "annotations"]);
    let of_pod = annotations(object.at(&in_pod));
    for (name, _) in &of_pod {
        let Some((prefix, rest)) = known::split(name) else { continue };
        let switch = of_pod.iter().find(|(name, _)| name.strip_prefix(prefix) == Some("agent-inject"));
        let message = match switch {
            None => "not converted: without agent-inject the injector leaves the pod alone",
            Some((_, text)) if super::go_text::parse_bool(text) == Some(false) => {
                "not converted: agent-inject is false, and so the injector leaves the pod alone"
            }
            Some(_) => continue,
        };
        if switch.is_none() || rest == "agent-inject" {
            notes.push(InjectionNote {
                annotation: name.clone(),
                outcome: ConvertOutcome::NothingToDo,
                message: message.to_owned(),
            });
        }
    }
    if workload.pod.is_empty() {
        return notes;
    }
    for (name, _) in annotations(object.at(&["metadata", "annotations"])) {
        if known::split(&name).is_some() && !of_pod.iter().any(|(known, _)| *known == name) {
            let message = format!(
                "it has no effect: the injector reads the annotations of pods, in {}",
                in_pod.join(".")
            );
            notes.push(InjectionNote { annotation: name, outcome: ConvertOutcome::Warning, message });
        }
    }
    notes
}
