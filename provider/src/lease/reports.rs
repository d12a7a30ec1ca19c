//! What the owner of a pod hears of its credentials.

use std::fmt::Display;

use coffer_vault::Printable;

use super::Background;
use super::schedule::{DueRenewal, Renewable};
use crate::session::{AnswerUse, Session};
use crate::{PodReport, PodReporter, ReportReason};

impl Background {
    /// Reports that a token or lease ends before its pod.
    pub(super) fn report_stopped(&self, due: &DueRenewal, why: &dyn Display) {
        let note = match &due.what {
            Renewable::Token(_) => format!("the token of {} {why}", login_path(&due.session)),
            Renewable::Lease { path, class, .. } => {
                PodReport::note_of_class(class, &format_args!("the lease of {} {why}", Printable(path)))
            }
        };
        let subject = match &due.what {
            Renewable::Token(_) => login_path(&due.session),
            Renewable::Lease { path, .. } => path.clone(),
        };
        report(&*self.reporter, &due.session, ReportReason::CredentialRenewalStopped, (subject, note));
    }

    /// Reports that Vault has lost a token.
    pub(super) fn report_lost_token(&self, session: &Session) {
        let path = login_path(session);
        let note = format!(
            "the token of {path} is not known to Vault any more, and what was issued to it is gone; the next mount \
             logs in anew"
        );
        report(&*self.reporter, session, ReportReason::CredentialRenewalStopped, (path, note));
    }
}

/// Reports that Vault issued something for a volume that had files before.
pub(crate) fn report_replaced(reporter: &dyn PodReporter, session: &Session, issued: &AnswerUse) {
    let AnswerUse { class, objects, path } = issued;
    let (at, files) = (Printable(path), objects.join(", "));
    let what = format!("Vault issued another credential at {at}, for the files of {}", Printable(&files));
    let note = PodReport::note_of_class(class, &what);
    report(reporter, session, ReportReason::CredentialReplaced, (path.clone(), note));
}

fn report(
    reporter: &dyn PodReporter,
    session: &Session,
    reason: ReportReason,
    (subject, note): (String, String),
) {
    if let Some(pod) = session.pod() {
        let (namespace, pod) = (session.namespace().to_owned(), pod.clone());
        reporter.report(PodReport { namespace, pod, reason, subject, note });
    }
}

fn login_path(session: &Session) -> String {
    Printable(&format!("auth/{}/login", session.key.auth_mount)).to_string()
}
