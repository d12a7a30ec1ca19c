//! One class under examination: the provider's own rules, and those of the driver's secret sync.

use coffer_provider::Settings;
use coffer_provider::class::{self, Class, Position};

use super::place;
use super::report::{Finding, Severity};
use super::source::Source;
use crate::class::manifest::{Manifest, Place};

/// A class, and what was found in it so far.
pub(crate) struct Checked<'a> {
    source: &'a Source,
    /// The class.
    pub(crate) manifest: Manifest,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
    /// Its objects' names, and where they begin within `objects`.
    names: Vec<(String, Position)>,
}

impl<'a> Checked<'a> {
    /// A class to be examined.
    pub(crate) fn new(source: &'a Source, manifest: Manifest) -> Self {
        Self { source, manifest, findings: Vec::new(), names: Vec::new() }
    }

    /// Notes that the class is for another provider.
    pub(crate) fn skip(&mut self) {
        let provider = &self.manifest.class.provider;
        let message =
            format!("skipped: it is for provider {provider:?}; --provider {provider} would check it");
        self.add(Severity::Note, self.manifest.at, message);
    }

    /// Looks for every mistake that can be seen in the class itself.
    pub(crate) fn check(&mut self) {
        for fault in std::mem::take(&mut self.manifest.faults) {
            self.add(Severity::Error, fault.at, fault.message);
        }
        let examined = Class::examine(&self.manifest.class.parameters, &Settings::default());
        for mistake in examined.findings.mistakes {
            self.add_parameter(Severity::Error, mistake);
        }
        for warning in examined.findings.warnings {
            self.add_parameter(Severity::Warning, warning);
        }
        self.names = examined.names;
        self.check_sync();
    }

    /// Whether a mount would get as far as Vault.
    pub(crate) fn is_sound(&self) -> bool {
        !self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Adds what Vault said of an object, or of the whole class.
    pub(crate) fn add_live(&mut self, severity: Severity, object: Option<&str>, message: String) {
        let inner = self.names.iter().find(|(name, _)| Some(name.as_str()) == object).map(|(_, at)| *at);
        let at = inner.and_then(|inner| self.in_parameter("objects", inner)).or(self.manifest.at);
        let finding = self.finding(severity, at, message);
        self.findings.push(Finding { object: object.map(ToOwned::to_owned), ..finding });
    }

    /// An object that `secretObjects` name must be one, or the Secret never comes to be.
    fn check_sync(&mut self) {
        if self.names.is_empty() {
            return;
        }
        for synced in std::mem::take(&mut self.manifest.synced) {
            let name = synced.object;
            if !self.names.iter().any(|(known, _)| *known == name) {
                let message = format!(
                    "secretObjects take objectName {name:?}, which objects do not have: the Secret is not made"
                );
                self.add(Severity::Warning, synced.at, message);
            }
        }
    }

    fn add(&mut self, severity: Severity, at: Option<Position>, message: String) {
        let finding = self.finding(severity, at, message);
        self.findings.push(finding);
    }

    fn add_parameter(&mut self, severity: Severity, found: class::Finding) {
        let class::Finding { parameter, position, object, mut message } = found;
        let place = self.manifest.places.get(&parameter).copied();
        let mut at = place.and_then(|Place { name, .. }| name).or(self.manifest.at);
        if let Some(inner) = position {
            let exact = self.in_parameter(&parameter, inner);
            if exact.is_none() {
                message = format!("line {} of {parameter}: {message}", inner.line);
            }
            at = exact.or(at);
        }
        let finding = self.finding(severity, at, message);
        self.findings.push(Finding { parameter: Some(parameter), object, ..finding });
    }

    fn in_parameter(&self, name: &str, inner: Position) -> Option<Position> {
        let text = self.manifest.class.parameters.get(name)?;
        let start = self.manifest.places.get(name)?.text?;
        place::in_file(&self.source.lines, start, text, inner)
    }

    fn finding(&self, severity: Severity, at: Option<Position>, message: String) -> Finding {
        let class = &self.manifest.class;
        Finding {
            file: self.source.file.clone(),
            at,
            namespace: class.namespace.clone(),
            class: Some(class.name.clone()).filter(|name| !name.is_empty()),
            ..Finding::new(severity, message)
        }
    }
}
