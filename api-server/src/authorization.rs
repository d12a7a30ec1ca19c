//! Whether a user may: asked of kube-apiserver by SubjectAccessReview for every request, the answer kept for ten
//! seconds. No answer means no.

use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes,
    SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::timeout;

use crate::api::{GROUP, RESOURCE, VERSION};
use crate::failure::Failure;
use crate::query::Query;
use crate::recent::{Question, Recent};
use crate::route::Place;
use crate::user::User;

/// A review that takes longer has failed.
const TIME: Duration = Duration::from_secs(5);

/// How many answers are kept.
const KEPT: usize = 10_000;

/// Asks whether users may.
pub(crate) struct Authorization {
    reviews: Api<SubjectAccessReview>,
    recent: Recent<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    allowed: bool,
    reason: String,
}

/// What a user wants to do.
pub(crate) enum Action<'a> {
    /// Something with objects.
    Objects { verb: &'a str, place: Place<'a>, query: &'a Query },
    /// A GET of another path.
    Path(&'a str),
}

impl Authorization {
    pub(crate) fn new(client: Client) -> Self {
        Self { reviews: Api::all(client), recent: Recent::new(KEPT) }
    }

    /// Returns where the user may.
    ///
    /// # Errors
    /// 403 where not, 500 where there was no answer.
    pub(crate) async fn check(&self, user: &User, action: &Action<'_>) -> Result<(), Failure> {
        let spec = spec(user, action);
        let asked = Instant::now();
        let question = Question::of(&spec);
        let known = question.and_then(|question| self.recent.answer(question, asked));
        let verdict = match known {
            Some(verdict) => verdict,
            None => {
                let verdict = self.review(spec).await?;
                if let Some(question) = question {
                    self.recent.keep(question, verdict.clone(), asked);
                }
                verdict
            }
        };
        if verdict.allowed { Ok(()) } else { Err(denial(user, action, &verdict.reason)) }
    }

    async fn review(&self, spec: SubjectAccessReviewSpec) -> Result<Verdict, Failure> {
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let reason = match timeout(TIME, self.reviews.create(&PostParams::default(), &review)).await {
            Ok(Ok(SubjectAccessReview { status: Some(status), .. })) => {
                return Ok(Verdict {
                    allowed: status.allowed && status.denied != Some(true),
                    reason: status.reason.unwrap_or_default(),
                });
            }
            Ok(Ok(_)) => "the answer has no status".to_owned(),
            Ok(Err(error)) => crate::kube_error::shown(&error),
            Err(_) => "kube-apiserver did not answer in time".to_owned(),
        };
        tracing::warn!("an access review failed: {reason}");
        Err(Failure::internal(format!("whether this is allowed could not be found out: {reason}")))
    }
}

/// The whole question, built in this one place: what is kept is kept by it.
fn spec(user: &User, action: &Action<'_>) -> SubjectAccessReviewSpec {
    let User { name, uid, groups, extra } = user.clone();
    let (resource_attributes, non_resource_attributes) = match action {
        Action::Objects { verb, place, query } => (Some(resource_attributes(verb, *place, query)), None),
        Action::Path(path) => {
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

fn resource_attributes(verb: &str, place: Place<'_>, query: &Query) -> ResourceAttributes {
    // a list by name is authorized as that name, as kube-apiserver does it
    let name = place.name.or_else(|| query.fields.name().filter(|_| matches!(verb, "list" | "watch")));
    ResourceAttributes {
        group: Some(GROUP.to_owned()),
        version: Some(VERSION.to_owned()),
        resource: Some(RESOURCE.to_owned()),
        verb: Some(verb.to_owned()),
        namespace: place.namespace.map(ToOwned::to_owned),
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

/// In kube-apiserver's words.
fn denial(user: &User, action: &Action<'_>, reason: &str) -> Failure {
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match action {
        Action::Objects { verb, place, .. } => {
            let name = place.name.unwrap_or_default();
            let scope = match place.namespace {
                Some(namespace) => format!("in the namespace {namespace:?}"),
                None => "at the cluster scope".to_owned(),
            };
            let failure = Failure::forbidden(format!(
                "{RESOURCE}.{GROUP} {name:?} is forbidden: User {:?} cannot {verb} resource {RESOURCE:?} in API group \
                 {GROUP:?} {scope}{reason}",
                user.name
            ));
            failure.about(name)
        }
        Action::Path(path) => {
            Failure::forbidden(format!("forbidden: User {:?} cannot get path {path:?}{reason}", user.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Question, spec};
    use crate::query::Query;
    use crate::route::Place;
    use crate::user::User;

    const ONE: Place<'_> = Place { namespace: Some("ns"), name: Some("db") };
    const ALL: Place<'_> = Place { namespace: Some("ns"), name: None };

    fn user(name: &str) -> User {
        User { name: name.to_owned(), groups: vec!["a".to_owned()], ..User::default() }
    }

    #[test]
    fn a_list_by_name_is_reviewed_as_that_name() {
        let query = Query::parse("fieldSelector=metadata.name%3Ddb&labelSelector=a%3Db").expect("a query");
        let spec = spec(&user("jo"), &Action::Objects { verb: "list", place: ALL, query: &query });
        let attributes = spec.resource_attributes.expect("attributes");
        assert_eq!(attributes.name.as_deref(), Some("db"));
        assert!(attributes.field_selector.is_some() && attributes.label_selector.is_some());
    }

    #[test]
    fn whatever_differs_is_another_question() {
        let (plain, labelled) = (Query::default(), Query::parse("labelSelector=a").expect("a query"));
        let with_uid = User { uid: "7".to_owned(), ..user("jo") };
        let with_extra = User { extra: [("k".to_owned(), vec!["v".to_owned()])].into(), ..user("jo") };
        let elsewhere = Place { namespace: Some("other"), name: Some("db") };
        let questions = [
            spec(&user("jo"), &Action::Objects { verb: "get", place: ONE, query: &plain }),
            spec(&user("jo"), &Action::Objects { verb: "get", place: ALL, query: &plain }),
            spec(&user("jo"), &Action::Objects { verb: "get", place: elsewhere, query: &plain }),
            spec(&user("jo"), &Action::Objects { verb: "list", place: ONE, query: &plain }),
            spec(&user("jo"), &Action::Objects { verb: "get", place: ONE, query: &labelled }),
            spec(&user("al"), &Action::Objects { verb: "get", place: ONE, query: &plain }),
            spec(&with_uid, &Action::Objects { verb: "get", place: ONE, query: &plain }),
            spec(&with_extra, &Action::Objects { verb: "get", place: ONE, query: &plain }),
            spec(&user("jo"), &Action::Path("/metrics")),
        ];
        let all: std::collections::HashSet<Question> = questions.iter().filter_map(Question::of).collect();
        assert_eq!(all.len(), questions.len());
    }
}
