//! What the owner of a pod should hear of: the port, and what goes through it.

use std::fmt::Display;

use coffer_vault::Printable;

use crate::Pod;

/// Port: tells the owners of pods what happens to their volumes and credentials.
pub trait PodReporter: Send + Sync {
    /// Reports what happened. Returns at once, whatever becomes of the report.
    fn report(&self, report: PodReport);
}

/// Something that happened to a pod.
///
/// The same thing again has the same text: the text holds no time, and nothing that is counted. It
/// never holds a secret byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodReport {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: Pod,
    /// What happened.
    pub reason: ReportReason,
    /// What it happened to: a volume or a credential. Of one subject, a later report takes the place
    /// of an earlier one that nobody has read yet.
    pub subject: String,
    /// The text.
    pub note: String,
}

impl PodReport {
    /// Returns a note that begins with the class. An empty class is left out: driver 1.5 does not
    /// name it when it rotates.
    #[must_use]
    pub fn note_of_class(class: &str, what: &dyn Display) -> String {
        match class {
            "" => what.to_string(),
            class => format!("SecretProviderClass {}: {what}", Printable(class)),
        }
    }
}

/// What happened to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportReason {
    /// A volume that was mounted could not be brought up to date.
    SecretRotationFailed,
    /// A volume is mounted well again.
    SecretRotationRecovered,
    /// Vault refuses to renew a token or lease, or has lost it: it ends before the pod.
    CredentialRenewalStopped,
    /// Vault issued another credential in place of an earlier one.
    CredentialReplaced,
}

/// Reports nothing, for a process without pods.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoPodReports;

impl PodReporter for NoPodReports {
    fn report(&self, _: PodReport) {}
}
