//! What must hold of volumes and of users, as pure functions of what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::breach::{Breach, BreachKind};
use super::fault_log::FaultLog;
use super::values::{SecretHistory, WrittenForm, app_files, host_file};

/// From one publish of a volume to the next: what kubelet does for `requiresRepublish`.
pub(super) const REPUBLISH: Duration = Duration::from_secs(30);

/// From a failed publish to the next.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// What a change may take beside [`REPUBLISH`] and the time of faults: a request that a fault left
/// without answer ends, kubelet retries, and all volumes wait for each other.
pub(super) const MARGIN: Duration = Duration::from_secs(20);

/// How long the user of a pod may stay after the pod's end, beside the time of faults: PostgreSQL
/// may refuse OpenBao's first attempt, which makes the second one ten seconds later and more.
pub(super) const REVOKED_WITHIN: Duration = Duration::from_secs(45);

/// The fault in which answers are lost without a word, and its dead connections may be used later.
pub(super) const ANSWERS_LOST: &str = "connections dead";

/// The fault in which Vault refuses to renew tokens of a tenant.
pub(super) const RENEWAL_REFUSED: &str = "login refused";

/// The TTL of tokens: so long after a refused renewal the token ends, and what was issued to it.
pub(super) const TOKEN_TTL: Duration = Duration::from_mins(4);

/// How long a login, an issue or a revocation waits for a lost answer: nobody knows what became of
/// it, so it is not sent again, and the time limit of a mount ends it.
const LOST_ANSWER: Duration = Duration::from_secs(60);

/// Which class a volume is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VolumeKind {
    /// Files of a KV secret in several formats.
    App,
    /// A user of PostgreSQL with its password, and a file of a KV secret.
    Database,
    /// A certificate with its key, and a file of a KV secret.
    Certificate,
}

impl VolumeKind {
    pub(super) const ALL: [Self; 3] = [Self::App, Self::Database, Self::Certificate];

    /// Returns the name of the class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Database => "db",
            Self::Certificate => "tls",
        }
    }

    /// Returns the files that follow the KV secret.
    fn written(self) -> BTreeMap<&'static str, WrittenForm> {
        match self {
            Self::App => app_files(),
            Self::Database | Self::Certificate => host_file(),
        }
    }

    /// Returns the files that stay the same as long as the pod lives.
    pub(super) fn credential(self) -> &'static [&'static str] {
        match self {
            Self::App => &[],
            Self::Database => &["db-user", "db-password"],
            Self::Certificate => &["tls.crt", "tls.key"],
        }
    }
}

/// The files of a volume that was mounted, read at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct VolumeSeen<'a> {
    pub(super) at: Duration,
    pub(super) pod: &'a str,
    pub(super) tenant: usize,
    pub(super) kind: VolumeKind,
    pub(super) files: &'a BTreeMap<String, Vec<u8>>,
}

/// What is known of a volume from earlier looks: its credential.
pub(super) type SeenCredential = Option<Vec<Vec<u8>>>;

/// What is said of a volume.
#[derive(Debug, Default)]
pub(super) struct VolumeVerdict {
    pub(super) breaches: Vec<Breach>,
    /// How long Vault has had another value than the oldest file.
    pub(super) staleness: Duration,
    /// Whether the credential was replaced in time, since Vault refused to renew its token.
    pub(super) replaced: bool,
}

/// Judges a volume.
pub(super) fn judge_volume(
    seen: VolumeSeen<'_>,
    history: &SecretHistory,
    faults: &FaultLog,
    credential: &mut SeenCredential,
) -> VolumeVerdict {
    let mut verdict = VolumeVerdict::default();
    let mut breach = |file: &str, kind| {
        verdict.breaches.push(Breach { subject: seen.pod.to_owned(), file: file.to_owned(), kind });
    };
    let mut values = BTreeSet::new();
    for (file, written) in seen.kind.written() {
        let Some(content) = seen.files.get(file) else {
            breach(file, BreachKind::FileGone);
            continue;
        };
        let Some(held) = history.find(content, written) else {
            breach(file, BreachKind::NeverInVault);
            continue;
        };
        values.insert(held.index);
        if values.len() > 1 {
            breach(file, BreachKind::Mixed);
        }
        let Some(superseded) = held.superseded else { continue };
        let age = seen.at.saturating_sub(superseded);
        let allowed = REPUBLISH + MARGIN + REPUBLISH * faults.count(superseded, seen.at);
        verdict.staleness = verdict.staleness.max(age);
        if age > allowed {
            breach(file, BreachKind::Stale { age, allowed });
        }
    }
    let (mut now, mut replaced) = (Vec::new(), false);
    for file in seen.kind.credential() {
        match seen.files.get(*file) {
            Some(content) if !content.is_empty() => now.push(content.clone()),
            Some(_) => breach(file, BreachKind::NeverInVault),
            None => breach(file, BreachKind::FileGone),
        }
    }
    if now.len() == seen.kind.credential().len() {
        if credential.as_ref().is_some_and(|before| *before != now) {
            let refused = seen.at.saturating_sub(TOKEN_TTL);
            if faults.concerned(RENEWAL_REFUSED, seen.tenant, refused, seen.at) {
                replaced = true;
            } else {
                breach(seen.kind.credential()[0], BreachKind::Replaced);
            }
        }
        *credential = Some(now);
    }
    verdict.replaced = replaced;
    verdict
}

/// Judges a pod that waits for its first mount since that time.
pub(super) fn judge_waiting(pod: &str, since: Duration, now: Duration, faults: &FaultLog) -> Option<Breach> {
    let (age, allowed) = (now.saturating_sub(since), RETRY + MARGIN + lost(since, now, faults));
    let kind = BreachKind::NotMounted { age, allowed };
    (age > allowed).then(|| Breach { subject: pod.to_owned(), file: String::new(), kind })
}

/// Returns the time that faults took from what may be sent only once.
fn lost(since: Duration, now: Duration, faults: &FaultLog) -> Duration {
    let lost = faults.times(ANSWERS_LOST, since.saturating_sub(LOST_ANSWER), now);
    faults.length(since, now) + LOST_ANSWER * lost
}

/// A user in the volume of a pod.
#[derive(Clone, Debug)]
pub(super) struct UserOfPod {
    pub(super) pod: String,
    pub(super) user: String,
    /// When the pod was deleted, if it was.
    pub(super) gone: Option<Duration>,
}

/// Judges the users in PostgreSQL.
pub(super) fn judge_users(
    users: &BTreeSet<String>,
    of_pods: &[UserOfPod],
    now: Duration,
    faults: &FaultLog,
) -> Vec<Breach> {
    let judged = of_pods.iter().filter_map(|UserOfPod { pod, user, gone }| {
        let kind = match (gone, users.contains(user)) {
            (None, true) | (Some(_), false) => return None,
            (None, false) => BreachKind::UserDropped,
            (Some(since), true) => {
                let age = now.saturating_sub(*since);
                let allowed = REVOKED_WITHIN + lost(*since, now, faults);
                if age <= allowed {
                    return None;
                }
                BreachKind::NotRevoked { age, allowed }
            }
        };
        Some(Breach { subject: pod.clone(), file: "db-user".to_owned(), kind })
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    fn history() -> SecretHistory {
        let mut history = SecretHistory::default();
        for (id, at) in [("one", 0), ("two", 100), ("three", 500)] {
            let index = history.begin(id.to_owned());
            history.confirm(index, AT(at));
        }
        history
    }

    fn app(id: &str) -> BTreeMap<String, Vec<u8>> {
        let file = |(name, written): (&str, WrittenForm)| (name.to_owned(), written(id).into_bytes());
        app_files().into_iter().map(file).collect()
    }

    fn judged(files: &BTreeMap<String, Vec<u8>>, at: u64, faults: &FaultLog) -> Vec<BreachKind> {
        let seen = VolumeSeen { at: AT(at), pod: "red/app-1", tenant: 0, kind: VolumeKind::App, files };
        let verdict = judge_volume(seen, &history(), faults, &mut None);
        verdict.breaches.into_iter().map(|breach| breach.kind).collect()
    }

    #[test]
    fn a_stale_file_is_a_breach_unless_a_fault_was_on() {
        let none = FaultLog::default();
        assert_eq!(judged(&app("three"), 10_000, &none), []);
        assert_eq!(judged(&app("one"), 150, &none), []);
        let stale = judged(&app("one"), 151, &none);
        assert_eq!(stale.len(), 5);
        assert_eq!(stale[0], BreachKind::Stale { age: AT(51), allowed: AT(50) });
        let mut faults = FaultLog::default();
        faults.begin("vault sealed", None, AT(90));
        faults.end(AT(110));
        assert_eq!(judged(&app("one"), 180, &faults), []);
        assert_eq!(judged(&app("one"), 181, &faults).len(), 5);
    }

    #[test]
    fn a_missing_a_partial_and_an_empty_file_are_breaches() {
        let none = FaultLog::default();
        let mut files = app("three");
        files.remove("app.json");
        assert_eq!(judged(&files, 501, &none), [BreachKind::FileGone]);
        for content in ["", "u-thre", "u-four"] {
            let mut files = app("three");
            files.insert("user".to_owned(), content.as_bytes().to_vec());
            assert_eq!(judged(&files, 501, &none), [BreachKind::NeverInVault], "{content}");
        }
    }

    #[test]
    fn files_of_two_answers_are_a_breach() {
        let mut files = app("three");
        files.insert("user".to_owned(), b"u-two".to_vec());
        assert_eq!(judged(&files, 501, &FaultLog::default()), [BreachKind::Mixed]);
    }

    #[test]
    fn another_credential_is_a_breach() {
        let mut known = None;
        let mut faults = FaultLog::default();
        let mut look = |password: &str, faults: &FaultLog| {
            let text = [("host", "u-three"), ("db-user", "v-1"), ("db-password", password)];
            let files = text.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into();
            let seen = VolumeSeen {
                at: AT(501),
                pod: "red/db-1",
                tenant: 0,
                kind: VolumeKind::Database,
                files: &files,
            };
            let verdict = judge_volume(seen, &history(), faults, &mut known);
            let kinds: Vec<_> = verdict.breaches.into_iter().map(|breach| breach.kind).collect();
            (kinds, verdict.replaced)
        };
        assert_eq!(look("first", &faults), (vec![], false));
        assert_eq!(look("first", &faults), (vec![], false));
        assert_eq!(look("second", &faults), (vec![BreachKind::Replaced], false));
        assert_eq!(look("", &faults), (vec![BreachKind::NeverInVault], false));
        faults.begin(RENEWAL_REFUSED, Some(1), AT(490));
        faults.end(AT(500));
        assert_eq!(look("third", &faults), (vec![BreachKind::Replaced], false), "another tenant's");
        faults.begin(RENEWAL_REFUSED, Some(0), AT(490));
        faults.end(AT(500));
        assert_eq!(look("fourth", &faults), (vec![], true));
    }

    #[test]
    fn a_pod_that_waits_for_long_is_a_breach() {
        let mut faults = FaultLog::default();
        assert!(judge_waiting("red/db-1", AT(10), AT(35), &faults).is_none());
        assert!(judge_waiting("red/db-1", AT(10), AT(36), &faults).is_some());
        faults.begin("vault sealed", None, AT(5));
        faults.end(AT(20));
        assert!(judge_waiting("red/db-1", AT(10), AT(45), &faults).is_none());
        assert!(judge_waiting("red/db-1", AT(10), AT(46), &faults).is_some());
        faults.begin(ANSWERS_LOST, None, AT(40));
        faults.end(AT(45));
        assert!(judge_waiting("red/db-1", AT(10), AT(110), &faults).is_none());
        assert!(judge_waiting("red/db-1", AT(10), AT(111), &faults).is_some());
        assert!(judge_waiting("red/db-1", AT(100), AT(185), &faults).is_none());
        assert!(judge_waiting("red/db-1", AT(106), AT(132), &faults).is_some());
    }

    #[test]
    fn a_leaked_and_a_dropped_user_are_breaches() {
        let users = BTreeSet::from(["v-1".to_owned()]);
        let judged = |user: &str, gone: Option<u64>, now: u64| {
            let of_pods =
                [UserOfPod { pod: "red/db-1".to_owned(), user: user.to_owned(), gone: gone.map(AT) }];
            let mut breaches = judge_users(&users, &of_pods, AT(now), &FaultLog::default());
            breaches.pop().map(|breach| breach.kind)
        };
        assert_eq!(judged("v-1", None, 10), None);
        assert_eq!(judged("v-2", None, 10), Some(BreachKind::UserDropped));
        assert_eq!(judged("v-1", Some(10), 55), None);
        let leaked = BreachKind::NotRevoked { age: AT(46), allowed: AT(45) };
        assert_eq!(judged("v-1", Some(10), 56), Some(leaked));
        assert_eq!(judged("v-2", Some(10), 1000), None);
    }
}
