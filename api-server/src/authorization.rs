//! Whether a user may make a request. kube-apiserver decides by SubjectAccessReview, for every
//! request anew; a decision is reused for ten seconds. Without a decision the request is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_kubernetes::{CallError, Kubernetes};
use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes,
    SubjectAccessReviewSpec,
};

use crate::api::{GROUP, RESOURCE, VERSION};
use crate::api_error::ApiError;
use crate::query::Query;
use crate::recent_answers::{QuestionDigest, RecentAnswers};
use crate::route::ObjectScope;
use crate::user::User;
use crate::verb::Verb;

/// Time limit of a review.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Decisions that are remembered, at most.
const MAX_REMEMBERED: usize = 10_000;

/// Asks kube-apiserver what users may do.
pub(crate) struct Authorization {
    kubernetes: Arc<Kubernetes>,
    recent: RecentAnswers<AccessDecision>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AccessDecision {
    is_allowed: bool,
    reason: String,
}

/// What a user wants to do.
pub(crate) enum RequestedAction<'a> {
    /// A request for objects.
    Objects { verb: Verb, scope: ObjectScope<'a>, query: &'a Query },
    /// A GET of another path.
    Path(&'a str),
}

impl Authorization {
    pub(crate) fn new(kubernetes: Arc<Kubernetes>) -> Self {
        Self { kubernetes, recent: RecentAnswers::new(MAX_REMEMBERED) }
    }

    /// Returns `Ok` where the user may do this.
    ///
    /// # Errors
    /// 403 where the user may not, 500 where kube-apiserver gave no decision.
    pub(crate) async fn check(&self, user: &User, action: &RequestedAction<'_>) -> Result<(), ApiError> {
        let spec = review_spec(user, action);
        let asked = Instant::now();
        let question = QuestionDigest::of(&spec);
        let decision = match question.and_then(|question| self.recent.answer(question, asked)) {
            Some(decision) => decision,
            None => {
                let decision = self.review(spec).await.map_err(|error| no_decision(&error))?;
                if let Some(question) = question {
                    self.recent.remember(question, decision.clone(), asked);
                }
                decision
            }
        };
        if decision.is_allowed { Ok(()) } else { Err(denial(user, action, &decision.reason)) }
    }

    async fn review(&self, spec: SubjectAccessReviewSpec) -> Result<AccessDecision, CallError> {
        let status = self.kubernetes.review_access(spec, TIME_LIMIT).await?;
        Ok(AccessDecision {
            is_allowed: status.allowed && status.denied != Some(true),
            reason: status.reason.unwrap_or_default(),
        })
    }
}

fn no_decision(error: &CallError) -> ApiError {
    tracing::warn!(%error, "an access review failed");
    ApiError::internal(format!("whether this is allowed could not be found out: {error}"))
}

/// Returns everything that kube-apiserver decides on. Decisions are remembered by a digest of it.
fn review_spec(user: &User, action: &RequestedAction<'_>) -> SubjectAccessReviewSpec {
    let User { name, uid, groups, extra } = user.clone();
    let (resource_attributes, non_resource_attributes) = match action {
        RequestedAction::Objects { verb, scope, query } => {
            (Some(resource_attributes(*verb, *scope, query)), None)
        }
        RequestedAction::Path(path) => {
            let attributes =
                NonResourceAttributes { path: Some((*path).to_owned()), verb: Some("get".to_owned()) };
            (None, Some(attributes))
        }
    };
    SubjectAccessReviewSpec {
        user: Some(name),
        uid: (!uid.is_empty()).then_some(uid),
        groups: Some(groups),
        extra: (!extra.is_empty()).then_some(extra),
        resource_attributes,
        non_resource_attributes,
    }
}

fn resource_attributes(verb: Verb, scope: ObjectScope<'_>, query: &Query) -> ResourceAttributes {
    // a list by name is authorized as that name, as kube-apiserver does it
    let selects_by_field = matches!(verb, Verb::List | Verb::Watch);
    let name = scope.name.or_else(|| query.fields.name().filter(|_| selects_by_field));
    ResourceAttributes {
        group: Some(GROUP.to_owned()),
        version: Some(VERSION.to_owned()),
        resource: Some(RESOURCE.to_owned()),
        verb: Some(verb.as_str().to_owned()),
        namespace: scope.namespace.map(ToOwned::to_owned),
        name: name.map(ToOwned::to_owned),
        subresource: None,
        field_selector: query.fields.requirements().map(|requirements| FieldSelectorAttributes {
            requirements: Some(requirements),
            raw_selector: None,
        }),
        label_selector: query.labels.requirements().map(|requirements| LabelSelectorAttributes {
            requirements: Some(requirements),
            raw_selector: None,
        }),
    }
}

/// Returns the error for a denied action, in kube-apiserver's words.
fn denial(user: &User, action: &RequestedAction<'_>, reason: &str) -> ApiError {
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match action {
        RequestedAction::Objects { verb, scope, .. } => {
            let (name, verb) = (scope.name.unwrap_or_default(), verb.as_str());
            let scope = match scope.namespace {
                Some(namespace) => format!("in the namespace {namespace:?}"),
                None => "at the cluster scope".to_owned(),
            };
            let error = ApiError::forbidden(format!(
                "{RESOURCE}.{GROUP} {name:?} is forbidden: User {:?} cannot {verb} resource {RESOURCE:?} in API group \
                 {GROUP:?} {scope}{reason}",
                user.name
            ));
            error.about(name)
        }
        RequestedAction::Path(path) => {
            ApiError::forbidden(format!("forbidden: User {:?} cannot get path {path:?}{reason}", user.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{QuestionDigest, RequestedAction, review_spec};
    use crate::query::Query;
    use crate::route::ObjectScope;
    use crate::user::User;
    use crate::verb::Verb;

    const ONE: ObjectScope<'_> = ObjectScope { namespace: Some("ns"), name: Some("db") };
    const ALL: ObjectScope<'_> = ObjectScope { namespace: Some("ns"), name: None };

    fn user(name: &str) -> User {
        User { name: name.to_owned(), groups: vec!["a".to_owned()], ..User::default() }
    }

    #[test]
    fn a_list_by_name_is_reviewed_as_that_name() {
        let query = Query::parse("fieldSelector=metadata.name%3Ddb&labelSelector=a%3Db").expect("a query");
        let spec = review_spec(
            &user("jo"),
            &RequestedAction::Objects { verb: Verb::List, scope: ALL, query: &query },
        );
        let attributes = spec.resource_attributes.expect("attributes");
        assert_eq!(attributes.name.as_deref(), Some("db"));
        assert!(attributes.field_selector.is_some() && attributes.label_selector.is_some());
    }

    #[test]
    fn whatever_differs_is_another_question() {
        let (plain, labelled) = (Query::default(), Query::parse("labelSelector=a").expect("a query"));
        let with_uid = User { uid: "7".to_owned(), ..user("jo") };
        let with_extra = User { extra: [("k".to_owned(), vec!["v".to_owned()])].into(), ..user("jo") };
        let elsewhere = ObjectScope { namespace: Some("other"), name: Some("db") };
        let questions = [
            review_spec(
                &user("jo"),
                &RequestedAction::Objects { verb: Verb::Get, scope: ONE, query: &plain },
            ),
            review_spec(
                &user("jo"),
                &RequestedAction::Objects { verb: Verb::Get, scope: ALL, query: &plain },
            ),
            review_spec(
                &user("jo"),
                &RequestedAction::Objects { verb: Verb::Get, scope: elsewhere, query: &plain },
            ),
            review_spec(
                &user("jo"),
                &RequestedAction::Objects { verb: Verb::List, scope: ONE, query: &plain },
            ),
            review_spec(
                &user("jo"),
                &RequestedAction::Objects { verb: Verb::Get, scope: ONE, query: &labelled },
            ),
            review_spec(
                &user("al"),
                &RequestedAction::Objects { verb: Verb::Get, scope: ONE, query: &plain },
            ),
            review_spec(&with_uid, &RequestedAction::Objects { verb: Verb::Get, scope: ONE, query: &plain }),
            review_spec(
                &with_extra,
                &RequestedAction::Objects { verb: Verb::Get, scope: ONE, query: &plain },
            ),
            review_spec(&user("jo"), &RequestedAction::Path("/metrics")),
        ];
        let all: std::collections::HashSet<QuestionDigest> =
            questions.iter().filter_map(QuestionDigest::of).collect();
        assert_eq!(all.len(), questions.len());
    }
}
