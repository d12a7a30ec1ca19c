//! A class and what is found in it, by the provider's own rules and by those of the driver's secret
//! sync.

use coffer_provider::class::{self, Class, Position};
use coffer_provider::settings::TrustedAddresses;
use coffer_provider::{Address, Policy, PolicyRefusal, ProbedFile, Settings};

use super::position;
use super::report::{CheckFinding, CheckPlace, LiveFile, Severity};
use super::source::ManifestSource;
use crate::manifest::class::{ClassManifest, LocatedClass};

/// A class, and what was found in it so far.
pub(crate) struct CheckedClass<'a> {
    source: &'a ManifestSource,
    manifest: LocatedClass,
    /// What was found.
    pub(crate) findings: Vec<CheckFinding>,
    /// The files that a mount would get.
    pub(crate) files: Vec<LiveFile>,
    /// The names of the objects, and where each object begins in `objects`.
    names: Vec<(String, Position)>,
    /// The class as a provider reads it, if there is no mistake in it.
    parsed: Option<Class>,
}

impl<'a> CheckedClass<'a> {
    /// Returns a class that is not checked yet.
    pub(crate) fn new(source: &'a ManifestSource, manifest: LocatedClass) -> Self {
        Self { source, manifest, findings: Vec::new(), files: Vec::new(), names: Vec::new(), parsed: None }
    }

    /// Returns the class as the manifest has it.
    pub(crate) fn class(&self) -> &ClassManifest {
        &self.manifest.class
    }

    /// Adds a note that the class is for another provider.
    pub(crate) fn skip(&mut self) {
        let provider = &self.manifest.class.provider;
        let message =
            format!("skipped: it is for provider {provider:?}; --provider {provider} would check it");
        self.add(Severity::Note, self.manifest.at, message);
    }

    /// Adds every mistake that can be found without Vault.
    pub(crate) fn check(&mut self) {
        for fault in std::mem::take(&mut self.manifest.faults) {
            self.add(Severity::Error, fault.at, fault.message);
        }
        // which addresses the operator trusts is not known here
        let settings = Settings { trusted_addresses: TrustedAddresses::All, ..Settings::default() };
        let examined = Class::examine(&self.manifest.class.parameters, &settings);
        for mistake in examined.findings.mistakes {
            self.add_parameter(Severity::Error, mistake);
        }
        for warning in examined.findings.warnings {
            self.add_parameter(Severity::Warning, warning);
        }
        self.names = examined.names;
        self.parsed = examined.class;
        self.check_socket();
        self.check_sync();
    }

    /// Adds what the policy forbids. What the class leaves to the flags of `coffer-csi` is not known
    /// here, and not judged.
    pub(crate) fn check_policy(&mut self, policy: &Policy, namespace: &str) {
        let Some(class) = &self.parsed else { return };
        let namespace = self.manifest.class.namespace.as_deref().unwrap_or(namespace);
        for PolicyRefusal { parameter, message, .. } in policy.refusals(namespace, class) {
            let named = parameter.and_then(|parameter| self.manifest.class.spelled(parameter));
            if parameter.is_none() || named.is_some() || parameter == Some("Audience") {
                let at = named.and_then(|name| self.manifest.positions.get(name)?.name);
                let finding = self.finding(Severity::Error, at.or(self.manifest.at), message);
                self.findings.push(CheckFinding { parameter: named.map(ToOwned::to_owned), ..finding });
            }
        }
    }

    /// Tells whether no mistake was found.
    pub(crate) fn is_valid(&self) -> bool {
        !self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Adds what Vault answered for an object, or for the whole class.
    pub(crate) fn add_live(&mut self, severity: Severity, object: Option<&str>, message: String) {
        let place = self.place_of_object(object);
        self.findings.push(CheckFinding { place, ..CheckFinding::new(severity, message) });
    }

    /// Adds a file that a mount would get from an object.
    pub(crate) fn add_file(&mut self, object: &str, file: ProbedFile) {
        let place = self.place_of_object(Some(object));
        self.files.push(LiveFile { place, path: file.path, size: file.size });
    }

    fn place_of_object(&self, object: Option<&str>) -> CheckPlace {
        let inner = self.names.iter().find(|(name, _)| Some(name.as_str()) == object).map(|(_, at)| *at);
        let at = inner.and_then(|inner| self.in_parameter("objects", inner)).or(self.manifest.at);
        CheckPlace { object: object.map(ToOwned::to_owned), ..self.place(at) }
    }

    /// Warns of a socket, which only the operator may choose.
    fn check_socket(&mut self) {
        let is_socket = |class: &Class| matches!(class.target.address, Address::Unix(_));
        if let Some(name) =
            self.parsed.as_ref().filter(|class| is_socket(class)).and(self.manifest.class.spelled("Address"))
        {
            let at = self.manifest.positions.get(name).and_then(|position| position.name);
            let message = format!(
                "parameter {name:?}: a mount fails unless the operator names this socket \
                 (-vault-addr, -vault-trusted-addresses of coffer-csi)"
            );
            let finding = self.finding(Severity::Warning, at.or(self.manifest.at), message);
            let parameter = Some(name.to_owned());
            self.findings.push(CheckFinding { parameter, ..finding });
        }
    }

    /// Warns of `secretObjects` that name an object which the class does not have.
    fn check_sync(&mut self) {
        if self.names.is_empty() {
            return;
        }
        for synced in std::mem::take(&mut self.manifest.synced) {
            let name = synced.object;
            let is_made = match &self.parsed {
                Some(class) => class.objects.iter().any(|object| object.may_make(&name)),
                None => self.names.iter().any(|(known, _)| *known == name),
            };
            if !is_made {
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
        let name = self.manifest.positions.get(&parameter).and_then(|position| position.name);
        let mut at = name.or(self.manifest.at);
        if let Some(inner) = position {
            let exact = self.in_parameter(&parameter, inner);
            if exact.is_none() {
                message = format!("line {} of {parameter}: {message}", inner.line);
            }
            at = exact.or(at);
        }
        let place = CheckPlace { object, ..self.place(at) };
        let finding = CheckFinding::new(severity, message);
        self.findings.push(CheckFinding { place, parameter: Some(parameter), ..finding });
    }

    fn in_parameter(&self, name: &str, inner: Position) -> Option<Position> {
        let text = self.manifest.class.parameters.get(name)?;
        let start = self.manifest.positions.get(name)?.text?;
        position::in_file(&self.source.lines, start, text, inner)
    }

    fn finding(&self, severity: Severity, at: Option<Position>, message: String) -> CheckFinding {
        CheckFinding { place: self.place(at), ..CheckFinding::new(severity, message) }
    }

    fn place(&self, at: Option<Position>) -> CheckPlace {
        let class = &self.manifest.class;
        CheckPlace {
            file: self.source.file.clone(),
            at,
            namespace: class.namespace.clone(),
            class: Some(class.name.clone()).filter(|name| !name.is_empty()),
            object: None,
        }
    }
}
