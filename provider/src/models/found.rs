//! Events by which faults were found.

use std::time::Duration;

use super::node::Node;
use super::operation::Event;
use super::vault::{Purpose, Trouble};
use super::{run, violations};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets events happen, and checks that no rule is broken.
fn check(events: &[Event]) {
    let violations = violations(events);
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn the_ttl_of_a_lease_begins_after_the_wait_for_a_login() {
    check(&[
        Event::VaultTrouble(Some(Purpose::Login), Trouble::Late(seconds(20))),
        Event::Mount { pod: 0, volume: 0, class: 3 },
        Event::Mount { pod: 0, volume: 1, class: 3 },
    ]);
}

#[test]
fn a_token_is_revoked_whose_renewal_was_granted_by_a_lost_answer() {
    check(&[
        Event::Mount { pod: 0, volume: 0, class: 0 },
        Event::VaultTrouble(Some(Purpose::Renew), Trouble::Lost),
        Event::Wait(seconds(1200)),
    ]);
}

#[test]
fn a_replaced_token_whose_revocation_failed_is_revoked_with_the_pod() {
    check(&[
        Event::Deny(Some(0)),
        Event::Mount { pod: 0, volume: 0, class: 0 },
        Event::Deny(None),
        Event::VaultTrouble(Some(Purpose::Revoke), Trouble::Status(503)),
        Event::Wait(seconds(61)),
        Event::Mount { pod: 0, volume: 0, class: 0 },
    ]);
}

/// Lets a lease come to its last third with refused renewals.
async fn with_refused_lease() -> Node {
    let mut node = Node::new();
    node.happen(Event::Mount { pod: 0, volume: 0, class: 1 }).await;
    node.happen(Event::VaultTrouble(Some(Purpose::Renew), Trouble::Status(400))).await;
    node.happen(Event::Wait(seconds(215))).await;
    node
}

#[test]
fn a_mount_renews_a_lease_before_it_has_another_one_issued() {
    run(async {
        let mut node = with_refused_lease().await;
        node.happen(Event::VaultIsWell).await;
        node.happen(Event::Mount { pod: 0, volume: 0, class: 1 }).await;
        node.happen(Event::Wait(seconds(1))).await;
        assert_eq!(node.vault.lock().requests(Purpose::Issue), 1);
        node.come_to_rest().await;
        assert!(node.vault.lock().take_violations().is_empty());
    });
}

#[test]
fn an_engine_that_is_back_during_a_mount_costs_no_credential() {
    run(async {
        let mut node = with_refused_lease().await;
        node.vault.lock().troubles.push((Some(Purpose::Issue), Trouble::Status(500)));
        node.happen(Event::Mount { pod: 0, volume: 0, class: 1 }).await;
        node.happen(Event::Wait(seconds(30))).await;
        assert_eq!(node.vault.lock().requests(Purpose::Issue), 2, "it is asked for once");
        node.happen(Event::VaultIsWell).await;
        node.happen(Event::Mount { pod: 0, volume: 0, class: 1 }).await;
        node.come_to_rest().await;
        let mut vault = node.vault.lock();
        assert_eq!(vault.requests(Purpose::Issue), 2);
        assert!(vault.take_violations().is_empty());
    });
}

#[test]
fn a_lease_is_kept_if_the_engine_is_back_between_its_renewal_and_the_issue() {
    run(async {
        let mut node = with_refused_lease().await;
        node.vault.lock().troubles.push((Some(Purpose::Issue), Trouble::Over));
        node.happen(Event::Mount { pod: 0, volume: 0, class: 1 }).await;
        node.happen(Event::Wait(seconds(1))).await;
        assert_eq!(node.vault.lock().requests(Purpose::Issue), 2);
        // past the end of both leases, had the first not been renewed
        node.happen(Event::Wait(seconds(200))).await;
        node.happen(Event::Republish { pod: 0, volume: 0 }).await;
        node.happen(Event::Wait(seconds(200))).await;
        node.happen(Event::Republish { pod: 0, volume: 0 }).await;
        let renewed: Vec<bool> = node.vault.lock().items.iter().map(|item| item.term.is_renewed()).collect();
        assert_eq!(renewed, [true, false], "the lease that was issued in between is not used");
        node.come_to_rest().await;
        let mut vault = node.vault.lock();
        assert_eq!(vault.requests(Purpose::Issue), 2);
        assert!(vault.take_violations().is_empty());
    });
}
