//! Answers of kube-apiserver, remembered for ten seconds, as Kubernetes' own servers do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use serde::Serialize;

/// Time for which an answer is reused: the default of `DelegatingAuthenticatorConfig` and
/// `DelegatingAuthorizerConfig` of k8s.io/apiserver.
const REUSED_FOR: Duration = Duration::from_secs(10);

/// Answers by a digest of the whole question, so that no question stays in memory, least of all a
/// token.
pub(crate) struct RecentAnswers<V> {
    capacity: usize,
    answers: Mutex<HashMap<QuestionDigest, (Instant, V)>>,
}

/// SHA-256 of a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct QuestionDigest([u8; 32]);

impl QuestionDigest {
    /// Returns the digest of what is sent to kube-apiserver, and so of all that the answer can
    /// depend on.
    pub(crate) fn of(sent: &impl Serialize) -> Option<Self> {
        let sent = serde_json::to_vec(sent).ok()?;
        Some(Self(digest(&SHA256, &sent).as_ref().try_into().ok()?))
    }
}

impl<V: Clone> RecentAnswers<V> {
    /// Returns an empty store for at most `capacity` answers.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, answers: Mutex::default() }
    }

    /// Returns the answer to a question that was asked less than ten seconds before `now`.
    pub(crate) fn answer(&self, question: QuestionDigest, now: Instant) -> Option<V> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = answers.get(&question)?;
        is_fresh(*at, now).then(|| answer.clone())
    }

    /// Remembers the answer to a question that was asked at `asked`.
    pub(crate) fn remember(&self, question: QuestionDigest, answer: V, asked: Instant) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= self.capacity {
            answers.retain(|_, (at, _)| is_fresh(*at, asked));
        }
        if answers.len() >= self.capacity {
            answers.clear();
        }
        answers.insert(question, (asked, answer));
    }
}

fn is_fresh(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < REUSED_FOR
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{QuestionDigest, RecentAnswers};

    #[test]
    fn an_answer_counts_for_ten_seconds_and_its_own_question() {
        let recent = RecentAnswers::new(2);
        let question = |text: &str| QuestionDigest::of(&text).expect("a question");
        let asked = Instant::now();
        recent.remember(question("a"), 1, asked);
        assert_eq!(recent.answer(question("a"), asked + Duration::from_millis(9_999)), Some(1));
        assert_eq!(recent.answer(question("a"), asked + Duration::from_secs(10)), None);
        assert_eq!(recent.answer(question("b"), asked), None);
    }

    #[test]
    fn what_is_full_makes_room() {
        let recent = RecentAnswers::new(2);
        let asked = Instant::now();
        for n in 0..5 {
            recent.remember(QuestionDigest::of(&n).expect("a question"), n, asked);
            assert_eq!(recent.answer(QuestionDigest::of(&n).expect("a question"), asked), Some(n));
            assert!(recent.answers.lock().expect("a lock").len() <= 2);
        }
    }
}
