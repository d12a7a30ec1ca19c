//! What the owner of a pod hears of a volume's mounts.

use coffer_provider::{Error, PodReport, ReportReason};

use crate::grpc_status::message;
use crate::volumes::{PodVolume, VolumeChange};

/// Returns what to report of a mount. Nothing is reported of a volume that was never mounted:
/// kubelet itself says on the pod why not. Later failures are hidden by the driver.
pub(crate) fn rotation_report(
    volume: &PodVolume,
    change: VolumeChange,
    error: Option<&Error>,
) -> Option<PodReport> {
    let (reason, what) = match (change, error) {
        (VolumeChange::Failed { was_mounted: true }, Some(error)) => {
            (ReportReason::SecretRotationFailed, message(error))
        }
        (VolumeChange::Recovered { was_mounted: true, .. }, _) => {
            (ReportReason::SecretRotationRecovered, "mounted again".to_owned())
        }
        _ => return None,
    };
    Some(PodReport {
        namespace: volume.namespace.clone(),
        pod: volume.pod.clone(),
        reason,
        subject: volume.key().to_string(),
        note: PodReport::note_of_class(&volume.class, &what),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coffer_provider::{Error, ErrorKind, Pod, ReportReason};

    use super::rotation_report;
    use crate::volumes::{PodVolume, VolumeChange};

    #[test]
    fn what_was_mounted_is_reported_with_the_text_of_the_driver() {
        let volume = PodVolume {
            namespace: "shop".to_owned(),
            pod: Pod { name: "web".to_owned(), uid: "u".to_owned() },
            class: "db\n".to_owned(),
            path: "/target".to_owned(),
            has_files: false,
        };
        let error =
            Error::new(ErrorKind::Unavailable, "Vault is sealed").with_detail("for the operator alone");
        let report = |change, error| {
            rotation_report(&volume, change, error).map(|report| (report.reason, report.note))
        };
        let failed = |was_mounted| report(VolumeChange::Failed { was_mounted }, Some(&error));
        let note = "SecretProviderClass db\\n: Vault is sealed".to_owned();
        assert_eq!(failed(true), Some((ReportReason::SecretRotationFailed, note)));
        assert_eq!(failed(false), None);
        let recovered =
            |was_mounted| report(VolumeChange::Recovered { failed_for: Duration::ZERO, was_mounted }, None);
        let note = "SecretProviderClass db\\n: mounted again".to_owned();
        assert_eq!(recovered(true), Some((ReportReason::SecretRotationRecovered, note)));
        assert_eq!((recovered(false), report(VolumeChange::Mounted, None)), (None, None));
    }
}
