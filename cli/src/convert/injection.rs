//! What the annotations of a pod ask the injector for.

mod parameters;
mod secrets;

use std::collections::BTreeMap;

use self::parameters::read_parameters;
pub(super) use self::secrets::{InjectedSecret, SecretTemplate};
use super::go_text::parse_bool;
use super::known::{self, Fate, PREFIXES};
use super::outcome::ConvertOutcome;

/// What the injector is asked for.
#[derive(Debug)]
pub(super) struct Injection {
    /// The parameters of the class.
    pub(super) parameters: Vec<(&'static str, String)>,
    /// The files.
    pub(super) secrets: Vec<InjectedSecret>,
    /// Where files are mounted of which nothing else is said.
    pub(super) volume_path: String,
    /// The containers that get the files; all if none are named.
    pub(super) containers: Option<Vec<String>>,
    /// Whether the init containers get the files too.
    pub(super) init_containers: bool,
    /// The volume whose service account token the agent logs in with.
    pub(super) token_volume: Option<String>,
    /// The provider that the prefix stands for.
    pub(super) provider: &'static str,
}

/// Something that is said of an annotation.
#[derive(Debug)]
pub(super) struct InjectionNote {
    /// The annotation's full name.
    pub(super) annotation: String,
    /// What became of it.
    pub(super) outcome: ConvertOutcome,
    /// What the user reads.
    pub(super) message: String,
}

/// The annotations of one injector.
pub(super) struct InjectorAnnotations<'a> {
    prefix: &'static str,
    values: BTreeMap<&'a str, &'a str>,
    /// What is said of them.
    pub(super) notes: Vec<InjectionNote>,
}

impl<'a> InjectorAnnotations<'a> {
    /// Returns the annotations of the injectors that are to act on the pod.
    pub(super) fn all_of(annotations: &'a [(String, String)]) -> Vec<Self> {
        let of = |prefix: &'static str| {
            let value =
                |(name, value): &'a (String, String)| Some((name.strip_prefix(prefix)?, value.as_str()));
            Self { prefix, values: annotations.iter().filter_map(value).collect(), notes: Vec::new() }
        };
        let acts =
            |injector: &Self| injector.get("agent-inject").is_some_and(|on| parse_bool(on) != Some(false));
        PREFIXES.into_iter().map(of).filter(acts).collect()
    }

    /// Reads what the injector is asked for. What cannot be carried over is in the notes.
    pub(super) fn read(&mut self) -> Injection {
        let parameters = read_parameters(self);
        let containers =
            self.get("agent-inject-containers").map(|names| names.split(',').map(str::to_owned).collect());
        let injection = Injection {
            parameters,
            volume_path: secrets::volume_path(self),
            secrets: secrets::read(self),
            containers,
            init_containers: self.flag("agent-pre-populate", true),
            token_volume: self.text("agent-service-account-token-volume-name").map(str::to_owned),
            provider: if self.prefix.starts_with("openbao") { "openbao" } else { "vault" },
        };
        self.add_known();
        injection
    }

    /// Returns the full name of an annotation.
    pub(super) fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Returns the names of all annotations, without prefix.
    pub(super) fn names(&self) -> Vec<&'a str> {
        self.values.keys().copied().collect()
    }

    /// Returns the value of an annotation, given without prefix.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied()
    }

    /// Returns a value that is not empty. One that is a template of Helm is named in the notes.
    fn text(&mut self, name: &str) -> Option<&'a str> {
        let text = self.get(name).filter(|text| !text.trim().is_empty())?;
        if text.contains("{{") {
            self.note(name, ConvertOutcome::NeedsPerson, NOT_RENDERED);
            return None;
        }
        Some(text)
    }

    /// Returns a boolean. A value that is none is named in the notes.
    fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = self.get(name) else { return default };
        parse_bool(text).unwrap_or_else(|| {
            let message = if text.contains("{{") {
                NOT_RENDERED.to_owned()
            } else {
                format!("{text:?} is no boolean: the injector refuses the pod")
            };
            self.note(name, ConvertOutcome::NeedsPerson, message);
            default
        })
    }

    /// Adds what is said of an annotation, unless something is said of it already.
    fn note(&mut self, name: &str, outcome: ConvertOutcome, message: impl Into<String>) {
        let annotation = self.full(name);
        if !self.notes.iter().any(|note| note.annotation == annotation) {
            self.notes.push(InjectionNote { annotation, outcome, message: message.into() });
        }
    }

    /// Adds what is said of all annotations of which nothing is said yet.
    fn add_known(&mut self) {
        for name in self.names() {
            let (outcome, message) = match known::find(name) {
                None => (ConvertOutcome::Warning, unknown(name)),
                Some((known, _)) if known.fate == Fate::Person && self.is_off(name) => {
                    (ConvertOutcome::NothingToDo, "it was switched off".to_owned())
                }
                Some((known, _)) => (known.fate.into(), known.message.to_owned()),
            };
            self.note(name, outcome, message);
        }
    }

    /// Returns whether an annotation switches off what it is about.
    fn is_off(&self, name: &str) -> bool {
        let off = |name: &str| self.get(name).is_none_or(|text| parse_bool(text) == Some(false));
        match name {
            "agent-cache-listener-port" | "agent-cache-use-auto-auth-token" => off("agent-cache-enable"),
            "agent-cache-enable"
            | "agent-enable-quit"
            | "agent-inject-token"
            | "agent-share-process-namespace" => off(name),
            name => self.get(name).is_none_or(|text| text.trim().is_empty()),
        }
    }
}

const NOT_RENDERED: &str = "it is a template that is not rendered yet: convert what it renders to, \
     such as helm template … | coffer convert -";

fn unknown(name: &str) -> String {
    let needs_name = known::ANNOTATIONS.iter().any(|known| known.name.strip_suffix('-') == Some(name));
    if needs_name {
        format!("it had no effect: the injector reads {name}-NAME, for the file of {name:?}'s NAME")
    } else {
        "the injector knows no such annotation".to_owned()
    }
}

impl From<Fate> for ConvertOutcome {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::CarriedOver => Self::CarriedOver,
            Fate::NothingToDo => Self::NothingToDo,
            Fate::Person => Self::NeedsPerson,
        }
    }
}
