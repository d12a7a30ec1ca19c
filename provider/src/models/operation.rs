//! What may happen on a node, as generated.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::vault::{Purpose, Trouble};

/// One thing that happens. Numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// The driver mounts a volume of a pod with a class. Without a pod one is created.
    Mount { pod: usize, volume: usize, class: usize },
    /// The driver mounts a volume again.
    Republish { pod: usize, volume: usize },
    /// The driver mounts a volume of a pod that was deleted last.
    LateMount { volume: usize, class: usize },
    /// A mount in progress is dropped.
    CancelMount { number: usize },
    /// A pod is deleted.
    DeletePod { pod: usize, is_seen: bool },
    /// kube-apiserver lists the node's pods.
    List,
    /// kube-apiserver lists the node's pods, and the list arrives when this happens again.
    SlowList,
    /// The watch of pods fails. With `announced` the agent is told.
    WatchFails { announced: bool },
    /// The agent starts anew.
    Restart(Restart),
    /// The state directory is full, or has room again.
    DiskFull(bool),
    /// Time passes.
    Wait(Duration),
    /// Vault answers badly to requests for a purpose, or to all.
    VaultTrouble(Option<Purpose>, Trouble),
    /// Vault answers well.
    VaultIsWell,
    /// An operator revokes what a pod has: its tokens, or the leases alone.
    RevokeBehind { pod: usize, tokens: bool },
    /// The policies of tokens from later logins deny a path, or allow all.
    Deny(Option<usize>),
}

/// How the agent ends, and what is left in the state directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restart {
    /// Whether the agent is killed, and so stores nothing more.
    pub(super) is_killed: bool,
    pub(super) left: Left,
}

/// What is left in the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    All,
    Nothing,
    /// All, one record cut in half.
    Truncated(usize),
    /// All, in the form of the release before.
    OldForm,
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let (pod, volume, class) = (0_usize..3, 0_usize..2, 0_usize..5);
    prop_oneof![
        8 => (pod.clone(), volume.clone(), class.clone())
            .prop_map(|(pod, volume, class)| Event::Mount { pod, volume, class }),
        8 => (pod.clone(), volume.clone()).prop_map(|(pod, volume)| Event::Republish { pod, volume }),
        1 => (volume, class).prop_map(|(volume, class)| Event::LateMount { volume, class }),
        2 => (0_usize..3).prop_map(|number| Event::CancelMount { number }),
        5 => (pod.clone(), any::<bool>()).prop_map(|(pod, is_seen)| Event::DeletePod { pod, is_seen }),
        2 => Just(Event::List),
        2 => Just(Event::SlowList),
        1 => any::<bool>().prop_map(|announced| Event::WatchFails { announced }),
        2 => restart().prop_map(Event::Restart),
        1 => any::<bool>().prop_map(Event::DiskFull),
        8 => wait().prop_map(Event::Wait),
        4 => (purpose(), trouble()).prop_map(|(purpose, trouble)| Event::VaultTrouble(purpose, trouble)),
        // what Vault answers while the system behind an engine is away
        1 => Just(Event::VaultTrouble(Some(Purpose::Renew), Trouble::Status(400))),
        4 => Just(Event::VaultIsWell),
        1 => (pod, any::<bool>()).prop_map(|(pod, tokens)| Event::RevokeBehind { pod, tokens }),
        3 => proptest::option::of(0_usize..5).prop_map(Event::Deny),
    ]
}

fn restart() -> impl Strategy<Value = Restart> {
    let left = prop_oneof![
        6 => Just(Left::All),
        1 => Just(Left::Nothing),
        1 => (0_usize..6).prop_map(Left::Truncated),
        2 => Just(Left::OldForm),
    ];
    (any::<bool>(), left).prop_map(|(is_killed, left)| Restart { is_killed, left })
}

fn wait() -> impl Strategy<Value = Duration> {
    let seconds = prop_oneof![4 => 1_u64..10, 4 => 10_u64..90, 2 => 90_u64..900, 1 => 900_u64..4000];
    seconds.prop_map(Duration::from_secs)
}

fn purpose() -> impl Strategy<Value = Option<Purpose>> {
    use Purpose::{Issue, Login, Lookup, Read, Renew, Revoke};
    const ALL: [Purpose; 6] = [Login, Read, Issue, Renew, Revoke, Lookup];
    prop_oneof![1 => Just(None), 3 => proptest::sample::select(&ALL).prop_map(Some)]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let status = proptest::sample::select(&[403, 404, 429, 500, 503][..]);
    prop_oneof![
        3 => status.prop_map(Trouble::Status),
        3 => proptest::sample::select(&[3, 7, 20][..]).prop_map(|s| Trouble::Late(Duration::from_secs(s))),
        1 => Just(Trouble::Lost),
        1 => Just(Trouble::Silent),
        1 => Just(Trouble::Stuck),
    ]
}
