//! Bearer tokens, judged by kube-apiserver (TokenReview).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_kubernetes::{CallError, Kubernetes};
use coffer_provider::Secret;
use coffer_shares::{Priority, Shares};

use crate::recent_answers::{QuestionDigest, RecentAnswers};
use crate::user::User;

/// Time limit of a review.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Verdicts that are remembered, at most.
const MAX_REMEMBERED: usize = 1000;

/// Reviews at once, at most: anyone may send tokens. One address alone gets half.
const MAX_CONCURRENT: usize = 20;

/// Has kube-apiserver review tokens.
pub(crate) struct TokenReviews {
    kubernetes: Arc<Kubernetes>,
    recent: RecentAnswers<Option<User>>,
    turns: Shares,
}

/// No verdict on a token was had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenReviewError {
    #[error("the bearer token could not be reviewed: {0}")]
    Failed(#[from] CallError),
    #[error("too many bearer tokens are being reviewed")]
    Busy,
}

impl TokenReviews {
    pub(crate) fn new(kubernetes: Arc<Kubernetes>) -> Self {
        Self { kubernetes, recent: RecentAnswers::new(MAX_REMEMBERED), turns: Shares::new(MAX_CONCURRENT) }
    }

    /// Returns the user of a token of the cluster's own audience; `None` where the token is not
    /// accepted. A verdict is reused for ten seconds. `peer` is who sent the token.
    ///
    /// # Errors
    /// kube-apiserver gave no verdict, or too many tokens are being reviewed.
    pub(crate) async fn user(&self, token: &Secret, peer: IpAddr) -> Result<Option<User>, TokenReviewError> {
        let asked = Instant::now();
        let question = QuestionDigest::of(&token.expose());
        if let Some(verdict) = question.and_then(|question| self.recent.answer(question, asked)) {
            return Ok(verdict);
        }
        let turn = self.turns.try_take(&peer.to_canonical().to_string(), 1, Priority::Common);
        let Some(_turn) = turn else { return Err(TokenReviewError::Busy) };
        let verdict = self.review(token).await?;
        if let Some(question) = question {
            self.recent.remember(question, verdict.clone(), asked);
        }
        Ok(verdict)
    }

    /// Returns the user of a token, as [`TokenReviews::user`] does, and always asks kube-apiserver.
    ///
    /// # Errors
    /// kube-apiserver gave no verdict.
    pub(crate) async fn review(&self, token: &Secret) -> Result<Option<User>, TokenReviewError> {
        let Some(token) = token.expose_str() else { return Ok(None) };
        let Some(user) = self.kubernetes.review_token(token, TIME_LIMIT).await? else { return Ok(None) };
        let name = user.username.unwrap_or_default();
        Ok((!name.is_empty()).then(|| User {
            name,
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }))
    }
}
