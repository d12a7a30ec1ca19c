//! Answers of kube-apiserver, kept for ten seconds, as Kubernetes' own servers keep them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use serde::Serialize;

/// `DelegatingAuthenticatorConfig` and `DelegatingAuthorizerConfig` of k8s.io/apiserver, by default.
const KEPT: Duration = Duration::from_secs(10);

/// Answers by a digest of the whole question: nothing that was asked, a token least of all, stays in memory.
pub(crate) struct Recent<V> {
    capacity: usize,
    kept: Mutex<HashMap<Question, (Instant, V)>>,
}

/// SHA-256 of a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Question([u8; 32]);

impl Question {
    /// The digest of what is sent to kube-apiserver, and so of all that its answer can depend on.
    pub(crate) fn of(sent: &impl Serialize) -> Option<Self> {
        let sent = serde_json::to_vec(sent).ok()?;
        Some(Self(digest(&SHA256, &sent).as_ref().try_into().ok()?))
    }
}

impl<V: Clone> Recent<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, kept: Mutex::default() }
    }

    /// The answer to a question that was asked at most ten seconds before `now`.
    pub(crate) fn answer(&self, question: Question, now: Instant) -> Option<V> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = kept.get(&question)?;
        is_fresh(*at, now).then(|| answer.clone())
    }

    /// Keeps an answer to a question that was asked at `asked`.
    pub(crate) fn keep(&self, question: Question, answer: V, asked: Instant) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.capacity {
            kept.retain(|_, (at, _)| is_fresh(*at, asked));
        }
        if kept.len() >= self.capacity {
            kept.clear();
        }
        kept.insert(question, (asked, answer));
    }
}

fn is_fresh(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < KEPT
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Question, Recent};

    #[test]
    fn an_answer_counts_for_ten_seconds_and_its_own_question() {
        let recent = Recent::new(2);
        let question = |text: &str| Question::of(&text).expect("a question");
        let asked = Instant::now();
        recent.keep(question("a"), 1, asked);
        assert_eq!(recent.answer(question("a"), asked + Duration::from_millis(9_999)), Some(1));
        assert_eq!(recent.answer(question("a"), asked + Duration::from_secs(10)), None);
        assert_eq!(recent.answer(question("b"), asked), None);
    }

    #[test]
    fn what_is_full_makes_room() {
        let recent = Recent::new(2);
        let asked = Instant::now();
        for n in 0..5 {
            recent.keep(Question::of(&n).expect("a question"), n, asked);
            assert_eq!(recent.answer(Question::of(&n).expect("a question"), asked), Some(n));
            assert!(recent.kept.lock().expect("a lock").len() <= 2);
        }
    }
}
