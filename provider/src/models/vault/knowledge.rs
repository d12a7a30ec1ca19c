//! What the agent knows of what the fake has issued, and what it loses.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{IssuedToken, VaultState};
use crate::File;

/// The paths of all requests, with the revocation of a token by itself.
pub(in crate::models) const REQUESTS: [&str; 5] = [
    "secret/data/a",
    "database/creds/app",
    "database/creds/short",
    "pki/issue/app",
    "auth/token/revoke-self",
];

/// A mount.
pub(in crate::models) struct Mounted {
    pub(in crate::models) pod: String,
    pub(in crate::models) volume: usize,
    pub(in crate::models) role: String,
    pub(in crate::models) files: usize,
    pub(in crate::models) began: Instant,
}

impl VaultState {
    /// Notes that a mount succeeded. Rules: it has all files, each holds what Vault issued to this
    /// pod and role, and that was valid when the mount began.
    pub(in crate::models) fn note_mounted(&mut self, mount: &Mounted, files: &[File]) {
        if files.len() != mount.files {
            self.violations.push(format!("{} of {} files", files.len(), mount.files));
        }
        let mut given = BTreeSet::new();
        for file in files {
            let text = file.contents.expose_str().unwrap_or_default();
            if let Some((pod, at)) = text.split_once(':') {
                let at = at.parse().expect("a number");
                self.check_given(mount, pod, at);
                given.insert(at);
            } else if text != REQUESTS[0] {
                self.violations.push(format!("a file with {text:?}"));
            }
        }
        self.volumes.insert((mount.pod.clone(), mount.volume), given);
        for (at, item) in self.items.iter_mut().enumerate() {
            if self.tokens[item.token].pod == mount.pod {
                let mut volumes = self.volumes.iter().filter(|((pod, _), _)| *pod == mount.pod);
                item.is_released |= !volumes.any(|(_, given)| given.contains(&at));
            }
        }
    }

    fn check_given(&mut self, mount: &Mounted, pod: &str, at: usize) {
        let item = &self.items[at];
        let token = &self.tokens[item.token];
        if pod != mount.pod || token.role != mount.role {
            let text = format!("a file of {} with role {} holds what is {pod}'s", mount.pod, mount.role);
            self.violations.push(text);
        }
        let is_gone = item.is_revoked || (item.is_lease && token.is_revoked);
        let until = if item.is_lease { item.term.until.min(token.term.until) } else { item.term.until };
        let is_excused = item.is_revoked_behind || self.known_gone.contains(pod);
        if !is_excused && (is_gone || until <= mount.began) {
            self.violations.push(format!("{pod} gets what is revoked or over of {}", item.path));
        }
    }

    /// Revokes what a pod has, as an operator does: its tokens, or the leases alone.
    pub(in crate::models) fn revoke_behind(&mut self, pod: &str, with_tokens: bool) {
        for item in self.items.iter_mut().filter(|item| self.tokens[item.token].pod == pod && item.is_lease) {
            item.is_revoked = true;
            item.is_revoked_behind = true;
        }
        for token in self.tokens.iter_mut().filter(|token| with_tokens && token.pod == pod) {
            token.is_revoked = true;
        }
    }

    /// Notes that the agent ended, and lost what it came to know at `since` or later. `is_stored`:
    /// tokens were stored before they were used, and only their renewals may be lost.
    pub(in crate::models) fn note_restart(&mut self, since: Option<Instant>, is_stored: bool) {
        let tokens = self.tokens.iter_mut().map(|token| (&mut token.term, &mut token.is_abandoned));
        for (term, is_abandoned) in tokens {
            let is_new = since.is_some_and(|since| term.is_granted_since(since));
            *is_abandoned |= !term.was_kept || (is_new && (!is_stored || term.is_renewed()));
            term.forget_since(since);
        }
        self.items.iter_mut().for_each(|item| item.term.forget_since(since));
        if !is_stored || self.kept_since.is_none() {
            self.volumes.clear();
        }
    }

    /// Forgets what reached the agent at `since` or later, for a mount that may have been dropped
    /// before it saw the answer.
    pub(in crate::models) fn note_dropped(&mut self, since: Instant) {
        let tokens = self.tokens.iter_mut().map(|token| &mut token.term);
        let terms = tokens.chain(self.items.iter_mut().map(|item| &mut item.term));
        terms
            .filter(|term| term.known_at.is_some_and(|at| at >= since))
            .for_each(|term| term.is_forgotten = true);
    }

    /// Notes that the agent's records of some tokens are lost.
    pub(in crate::models) fn abandon(&mut self, picked: impl Fn(&IssuedToken) -> bool) {
        for token in self.tokens.iter_mut().filter(|token| picked(token)) {
            token.is_abandoned = true;
            token.term.is_forgotten = true;
            self.volumes.retain(|(pod, _), _| *pod != token.pod);
        }
        for item in self.items.iter_mut().filter(|item| self.tokens[item.token].is_abandoned) {
            item.term.is_forgotten = true;
        }
    }
}
