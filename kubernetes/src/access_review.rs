//! Whether a user may do something, asked of kube-apiserver by SubjectAccessReview.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::Api;
use kube::api::PostParams;

use crate::connection::{Kubernetes, call};
use crate::error::CallError;

impl Kubernetes {
    /// Has kube-apiserver review whether the user of `spec` may do what it describes.
    ///
    /// # Errors
    /// kube-apiserver gave no decision within `time_limit`.
    pub async fn review_access(
        &self,
        spec: SubjectAccessReviewSpec,
        time_limit: Duration,
    ) -> Result<SubjectAccessReviewStatus, CallError> {
        let reviews: Api<SubjectAccessReview> = Api::all(self.connection().await?.client.clone());
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = call(time_limit, reviews.create(&PostParams::default(), &review)).await?;
        answer.status.ok_or(CallError::Incomplete("status"))
    }
}
