//! The rules that hold at every request, whatever happened before. What breaks one is noted.

use std::time::Duration;

use tokio::time::Instant;

use super::handler::Grantee;
use super::{IssuedItem, IssuedToken, VaultState};

/// Time after which every mount has ended.
pub(in crate::models) const LONGEST_MOUNT: Duration = Duration::from_secs(31);

/// Maximum number of renewals of one thing in a second: one, its retry, and each once more over a
/// new connection.
const RENEWALS_IN_A_SECOND: usize = 4;

/// Minimum time between two logins because of denials.
const LOGIN_AFTER_DENIAL: Duration = Duration::from_secs(59);

impl VaultState {
    /// Rule: a pod's token is not issued again while the one before is good, unless a request with
    /// it was denied and it is a minute old.
    pub(super) fn check_login(&mut self, pod: &str, role: &str, now: Instant) {
        if !self.is_kept(now) || self.known_gone.contains(pod) {
            return;
        }
        let of_session = |at: &usize| self.tokens[*at].pod == pod && self.tokens[*at].role == role;
        let known = |at: &usize| self.tokens[*at].term.known_at.is_some();
        let newest = (0..self.tokens.len()).rev().filter(of_session).find(known);
        let Some(token) = newest.map(|at| &self.tokens[at]) else { return };
        let may_help = token.was_denied && now - token.term.began >= LOGIN_AFTER_DENIAL;
        if token.is_alive(now) && token.term.is_known_good(now) && !may_help {
            let text = format!(
                "a second login of {pod} with role {role} while its token is good, denied: {}, age {:?}",
                token.was_denied,
                now - token.term.began
            );
            self.violations.push(text);
        }
    }

    /// Rule: nothing is issued twice for one pod and request while the first is good.
    pub(super) fn check_issue(&mut self, token: usize, path: &str, now: Instant) {
        let of = &self.tokens[token];
        if !self.is_kept(now) || self.known_gone.contains(&of.pod) {
            return;
        }
        let is_good = |item: &&IssuedItem| {
            let owner = &self.tokens[item.token];
            let is_same = item.path == path && owner.pod == of.pod && owner.role == of.role;
            let lasts = !item.is_lease || owner.term.is_known_good(now);
            is_same
                && lasts
                && item.term.was_kept
                && self.is_item_alive(item, now)
                && item.term.is_known_good(now)
                && !item.is_released
        };
        if let Some(first) = self.items.iter().find(is_good) {
            let age = (now - first.term.began).as_secs();
            let text = format!(
                "{path} is issued twice to {} with role {}: the first is {age} s old and good",
                of.pod, of.role
            );
            self.violations.push(text);
        }
    }

    /// Rule: a token or lease is renewed a few times in a second at most.
    pub(super) fn check_renewal(&mut self, of: Grantee, now: Instant) {
        let (began, count) = &mut self.term(of).renewals;
        if now - *began >= Duration::from_secs(1) {
            (*began, *count) = (now, 0);
        }
        *count += 1;
        if *count > RENEWALS_IN_A_SECOND {
            self.violations.push("renewals without a pause".to_owned());
        }
    }

    /// Rule: the token of a pod is revoked only if the agent was told that the pod is gone, or if
    /// another token took its place and the pod uses nothing that was issued to it.
    pub(super) fn check_revocation(&mut self, at: usize, now: Instant) {
        let token = &self.tokens[at];
        if self.known_gone.contains(&token.pod) {
            return;
        }
        let is_newer = |other: &IssuedToken| other.pod == token.pod && other.role == token.role;
        let is_replaced = self.tokens[at + 1..].iter().any(is_newer);
        let is_used = |item: &IssuedItem| {
            let is_known = item.term.known_at.is_some() && !item.term.is_forgotten;
            item.token == at
                && item.is_lease
                && is_known
                && !item.is_released
                && self.is_item_alive(item, now)
        };
        let is_in_use = self.items.iter().any(is_used);
        if !is_replaced || is_in_use {
            let text = format!(
                "a token of {} with role {} is revoked while the pod lives (replaced: {is_replaced}, in use: \
                 {is_in_use})",
                token.pod, token.role
            );
            self.violations.push(text);
        }
    }

    /// Rule, when all pods are gone and known to be so, and Vault was well for long enough: every
    /// token is revoked or over that was used, and with it all that was issued to it. `given_up` is
    /// the number of tokens of which the agent told that it cannot revoke them.
    pub(in crate::models) fn check_rest(&mut self, given_up: usize, now: Instant) {
        let is_left = |token: &&IssuedToken| token.is_alive(now) && token.is_used && !token.is_abandoned;
        let left: Vec<_> =
            self.tokens.iter().filter(is_left).map(|token| (&token.pod, &token.role)).collect();
        if left.len() > given_up {
            let text = format!("tokens are left of pods that are gone: {left:?} ({given_up} given up)");
            self.violations.push(text);
        }
    }

    /// Returns whether every mount that goes on now began when leases were kept.
    pub(super) fn is_kept(&self, now: Instant) -> bool {
        self.kept_since.is_some_and(|since| since + LONGEST_MOUNT <= now)
    }

    /// Returns whether Vault knows a lease, or a certificate is valid.
    pub(in crate::models) fn is_item_alive(&self, item: &IssuedItem, now: Instant) -> bool {
        let is_owned = !item.is_lease || self.tokens[item.token].is_alive(now);
        is_owned && !item.is_revoked && !item.term.is_over(now)
    }
}
