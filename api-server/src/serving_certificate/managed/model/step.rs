//! What happens to the replicas.

use coffer_fake_kube::{RequestFault, RequestFaultKind, drawn_faults};
use proptest::prelude::{Just, Strategy, prop_oneof};

use super::REPLICAS;

/// Stands for a new key, which belongs to no certificate.
pub(super) const ANOTHER_KEY: &str = "another key";

#[derive(Debug, Clone)]
pub(super) enum ReplicaStep {
    /// A replica starts; one that is up ends first.
    Start(usize),
    Stop(usize),
    /// Hours pass in which nothing runs, from a moment at which all is well; afterwards the replicas
    /// meet these faults.
    Sleep {
        hours: u64,
        faults: [Vec<RequestFault>; REPLICAS],
    },
    /// The clock of a replica is wrong by so many seconds.
    Skew {
        replica: usize,
        seconds: i64,
    },
    /// The clock of a replica is two years ahead.
    WrongClock(usize),
    /// Somebody deletes the Secret.
    Delete,
    /// Somebody removes or spoils an entry of the Secret.
    Spoil {
        entry: &'static str,
        with: Option<&'static str>,
    },
    /// Seconds pass.
    Wait(u64),
}

fn faults() -> impl Strategy<Value = [Vec<RequestFault>; REPLICAS]> {
    // a refusal for good is taken for one
    let passing = |mut faults: Vec<RequestFault>| {
        faults.iter_mut().filter(|fault| fault.kind == RequestFaultKind::Refused(403)).for_each(|fault| {
            fault.kind = RequestFaultKind::Refused(409);
        });
        faults
    };
    [drawn_faults(15).prop_map(passing), drawn_faults(15).prop_map(passing)]
}

/// Draws a step.
pub(super) fn step() -> impl Strategy<Value = ReplicaStep> {
    let replica = || 0..REPLICAS;
    let entry = prop_oneof![Just("ca-0.crt"), Just("ca-0.key"), Just("tls.crt"), Just("tls.key")];
    let with = prop_oneof![Just(None), Just(Some("")), Just(Some("no certificate")), Just(Some(ANOTHER_KEY))];
    prop_oneof![
        3 => replica().prop_map(ReplicaStep::Start),
        1 => replica().prop_map(ReplicaStep::Stop),
        5 => (0..72_u64, faults()).prop_map(|(hours, faults)| ReplicaStep::Sleep { hours, faults }),
        1 => (replica(), -240..240_i64).prop_map(|(replica, seconds)| ReplicaStep::Skew { replica, seconds }),
        1 => replica().prop_map(ReplicaStep::WrongClock),
        1 => Just(ReplicaStep::Delete),
        1 => (entry, with).prop_map(|(entry, with)| ReplicaStep::Spoil { entry, with }),
        3 => (0..5_u64).prop_map(ReplicaStep::Wait),
        3 => (0..200_u64).prop_map(ReplicaStep::Wait),
    ]
}

/// Draws the age in days of the CA and of the serving certificate in the Secret; none without one.
pub(super) fn age() -> impl Strategy<Value = Option<(u32, u32)>> {
    prop_oneof![
        1 => Just(None),
        4 => (prop_oneof![0..25_u32, 235..246_u32], 0..22_u32).prop_map(Some),
    ]
}
