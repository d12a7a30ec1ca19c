//! Whether kube-apiserver accepts a bearer token, asked by TokenReview.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use kube::Api;
use kube::api::PostParams;

use crate::connection::{Kubernetes, call};
use crate::error::CallError;

impl Kubernetes {
    /// Returns the user that a token of the cluster's own audience belongs to; `None` where
    /// kube-apiserver does not accept the token.
    ///
    /// # Errors
    /// kube-apiserver gave no verdict within `time_limit`.
    pub async fn review_token(
        &self,
        token: &str,
        time_limit: Duration,
    ) -> Result<Option<UserInfo>, CallError> {
        let reviews: Api<TokenReview> = Api::all(self.connection().await?.client.clone());
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), audiences: None },
            ..TokenReview::default()
        };
        let answer = call(time_limit, reviews.create(&PostParams::default(), &review)).await?;
        let status = answer.status.unwrap_or_default();
        Ok(status.user.filter(|_| status.authenticated == Some(true)))
    }
}
