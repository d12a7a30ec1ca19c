//! What the owner of a pod hears of its credentials.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::renew_due;
use crate::ReportReason;
use crate::session::tests::bed::{Bed, creds, lease};

const STOPPED: ReportReason = ReportReason::CredentialRenewalStopped;

#[tokio::test]
async fn a_refused_renewal_is_reported_and_one_that_failed_is_not() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    bed.fake.renewal.store(503, Ordering::Relaxed);
    bed.clock.advance(Duration::from_secs(41));
    renew_due(&session, &bed).await;
    assert_eq!(bed.reports.take(), []);
    bed.fake.renewal.store(400, Ordering::Relaxed);
    bed.clock.advance(Duration::from_secs(10));
    renew_due(&session, &bed).await;
    let reports = bed.reports.take();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let (reason, note) = &reports[0];
    assert_eq!(*reason, STOPPED);
    assert!(
        note.contains("the lease of database/creds/r is not renewed: ") && note.contains("400"),
        "{note}"
    );
}

#[tokio::test]
async fn what_vault_has_lost_is_reported() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    bed.fake.renewal.store(403, Ordering::Relaxed);
    bed.fake.lookup.store(403, Ordering::Relaxed);
    bed.clock.advance(Duration::from_secs(41));
    renew_due(&session, &bed).await;
    let reports = bed.reports.take();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let (reason, note) = &reports[0];
    assert_eq!(*reason, STOPPED);
    assert!(note.starts_with("the token of auth/kubernetes/login is not known to Vault any more"), "{note}");
}

#[tokio::test]
async fn another_credential_in_a_mounted_volume_is_reported() {
    let (bed, _) = Bed::with_leases(10).await;
    let session = bed.pod_session();
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    assert_eq!(bed.reports.take(), [], "the first one");
    session.note_files(0);
    bed.fetch(&session).answered(&creds("r"), lease(60)).await;
    let reports = bed.reports.take();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let (reason, note) = &reports[0];
    assert_eq!(*reason, ReportReason::CredentialReplaced);
    assert!(note.contains("Vault issued another credential at database/creds/r"), "{note}");
}
