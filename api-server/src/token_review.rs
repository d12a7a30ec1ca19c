//! Bearer tokens, judged by kube-apiserver (TokenReview).

use std::time::{Duration, Instant};

use coffer_provider::Secret;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::recent::{Question, Recent};
use crate::user::User;

/// A review that takes longer has failed.
const TIME: Duration = Duration::from_secs(5);

/// How many verdicts are kept, and how many reviews run at once: anyone may send tokens.
const KEPT: usize = 1000;
const AT_ONCE: usize = 20;

/// Judges tokens.
pub(crate) struct TokenReviews {
    reviews: Api<TokenReview>,
    recent: Recent<Option<User>>,
    turns: Semaphore,
}

/// No verdict was had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReviewError {
    #[error("the bearer token could not be reviewed: {0}")]
    Failed(String),
    #[error("too many bearer tokens are being reviewed")]
    Busy,
}

impl TokenReviews {
    pub(crate) fn new(client: Client) -> Self {
        Self { reviews: Api::all(client), recent: Recent::new(KEPT), turns: Semaphore::new(AT_ONCE) }
    }

    /// The user that a token of the cluster's own audience names; nothing where it is not good. Kept for ten seconds.
    ///
    /// # Errors
    /// kube-apiserver did not answer.
    pub(crate) async fn user(&self, token: &Secret) -> Result<Option<User>, ReviewError> {
        let asked = Instant::now();
        let question = Question::of(&token.expose());
        if let Some(verdict) = question.and_then(|question| self.recent.answer(question, asked)) {
            return Ok(verdict);
        }
        let Ok(_turn) = self.turns.try_acquire() else { return Err(ReviewError::Busy) };
        let verdict = self.review(token).await?;
        if let Some(question) = question {
            self.recent.keep(question, verdict.clone(), asked);
        }
        Ok(verdict)
    }

    /// Whether kube-apiserver itself takes a token.
    ///
    /// # Errors
    /// kube-apiserver did not answer.
    pub(crate) async fn review(&self, token: &Secret) -> Result<Option<User>, ReviewError> {
        let Some(token) = token.expose_str() else { return Ok(None) };
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), audiences: None },
            ..TokenReview::default()
        };
        let answer = timeout(TIME, self.reviews.create(&PostParams::default(), &review)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(ReviewError::Failed(crate::kube_error::shown(&error))),
            Err(_) => return Err(ReviewError::Failed("kube-apiserver did not answer in time".to_owned())),
        };
        let status = answer.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return Ok(None);
        }
        let user = status.user.unwrap_or_default();
        let name = user.username.unwrap_or_default();
        Ok((!name.is_empty()).then(|| User {
            name,
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }))
    }
}
