//! Mounts that are dropped at any of their awaits: in a login, a request that issues something, a
//! lookup, a revocation or a renewal, or while they wait for each other.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::node::Node;
use super::operation::{Event, Left, Restart};
use super::run;
use super::vault::{Purpose, Trouble};

/// What happened before the mount that is dropped.
#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    /// Logins take some time.
    SlowLogin,
    /// What is issued comes late.
    SlowIssue,
    /// Another mount of the same pod waits for Vault.
    OtherMount,
    /// The token's policies denied a request, and do so no more.
    Denial,
    /// Vault does not know the token any more.
    LostToken,
    /// Vault refused renewals, and grants them late now.
    RefusedRenewals,
    /// Vault refuses renewals until it issues something.
    EngineBack,
}

/// What happens after the mount was dropped.
#[derive(Debug, Clone, Copy)]
enum After {
    Mount,
    KilledAgent,
    DeletedPod,
}

const BEFORE: [Before; 8] = [
    Before::Nothing,
    Before::SlowLogin,
    Before::SlowIssue,
    Before::OtherMount,
    Before::Denial,
    Before::LostToken,
    Before::RefusedRenewals,
    Before::EngineBack,
];

const AFTER: [After; 3] = [After::Mount, After::KilledAgent, After::DeletedPod];

/// Classes of a [`Node`]: one that only reads, one with a lease and a certificate, and one with two
/// leases.
const CLASSES: [usize; 3] = [0, 2, 3];

/// The number of polls after which every mount has ended.
const MOST_POLLS: usize = 200;

/// Mounts that are dropped at least, since each waits several times.
const LEAST_DROPPED: usize = 200;

#[test]
fn a_mount_that_is_dropped_at_any_await_leaves_nothing_behind() {
    let mut dropped = 0;
    for before in BEFORE {
        for (after, class) in
            AFTER.into_iter().flat_map(|after| CLASSES.into_iter().map(move |class| (after, class)))
        {
            let last = (0..MOST_POLLS).find(|polls| run(is_complete(before, after, class, *polls)));
            dropped += last.expect("a mount that ends");
        }
    }
    assert!(dropped > LEAST_DROPPED, "only {dropped} mounts were dropped");
}

/// Drops a mount after so many polls, lets the rest happen, and checks the rules. Returns whether
/// the mount ended before.
async fn is_complete(before: Before, after: After, class: usize, polls: usize) -> bool {
    let mut node = Node::new();
    prepare(&mut node, before, class).await;
    let (pod, began) = (node.pod(0), Instant::now());
    let is_complete = cancel_after(node.mounting(&pod, 0, class), polls).await.is_some();
    node.settle().await;
    if !is_complete {
        node.vault.lock().note_dropped(began);
    }
    node.happen(Event::VaultIsWell).await;
    match after {
        After::Mount => {}
        After::KilledAgent => {
            let restart = Restart { is_killed: true, left: Left::All };
            node.happen(Event::Restart(restart)).await;
        }
        After::DeletedPod => node.happen(Event::DeletePod { pod: 0, is_seen: true }).await,
    }
    // a mount that goes on is over then
    node.happen(Event::Wait(Duration::from_secs(31))).await;
    node.happen(Event::Mount { pod: 0, volume: 0, class }).await;
    let first = node.requests();
    node.happen(Event::Republish { pod: 0, volume: 0 }).await;
    let second = node.requests();
    node.come_to_rest().await;
    let mut violations = node.vault.lock().take_violations();
    if second.0 > first.0 {
        violations.push("a login at a republish".to_owned());
    }
    assert!(violations.is_empty(), "{before:?}, {after:?}, class {class}, {polls} polls: {violations:#?}");
    is_complete
}

async fn prepare(node: &mut Node, before: Before, class: usize) {
    const LATE: Trouble = Trouble::Late(Duration::from_secs(3));
    const REFUSED: Event = Event::VaultTrouble(Some(Purpose::Renew), Trouble::Status(400));
    let mount = Event::Mount { pod: 0, volume: 1, class };
    let events = match before {
        Before::Nothing => vec![],
        Before::SlowLogin => vec![Event::VaultTrouble(Some(Purpose::Login), LATE)],
        Before::SlowIssue => vec![Event::VaultTrouble(Some(Purpose::Issue), LATE)],
        Before::OtherMount => vec![Event::VaultTrouble(None, LATE), mount],
        Before::Denial => vec![
            Event::Deny(Some(0)),
            Event::Mount { pod: 0, volume: 1, class: 0 },
            Event::Deny(None),
            Event::Wait(Duration::from_secs(61)),
        ],
        Before::LostToken => {
            vec![mount, Event::RevokeBehind { pod: 0, tokens: true }, Event::Wait(Duration::from_secs(1))]
        }
        // in the last third of the lease, and of the token of the class with two leases
        Before::RefusedRenewals => vec![
            mount,
            REFUSED,
            Event::Wait(Duration::from_secs(285)),
            Event::VaultTrouble(Some(Purpose::Renew), LATE),
        ],
        Before::EngineBack => vec![mount, REFUSED, Event::Wait(Duration::from_secs(285))],
    };
    for event in events {
        node.happen(event).await;
    }
    if matches!(before, Before::EngineBack) {
        node.vault.lock().troubles.push((Some(Purpose::Issue), Trouble::Over));
    }
}

/// Polls a future, and drops it after so many polls. Returns none if it has not ended by then.
async fn cancel_after<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
