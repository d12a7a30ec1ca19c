//! One request: its path, who asks, whether they may, and the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use k8s_openapi::jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use tokio::sync::watch;

use crate::accept::{Form, resource_form};
use crate::authentication::Authentication;
use crate::authorization::{Action, Authorization};
use crate::class::HeldClass;
use crate::classes::Classes;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::query::Query;
use crate::reading::{self, Reading};
use crate::route::{Place, Route, route};
use crate::server::Phase;
use crate::user::User;
use crate::vault_secret::{Metadata, MetadataList, VaultSecret, VaultSecretList};
use crate::{audit, discovery, health, openapi, respond, table};

type Answer = Response<Bytes>;

/// How long a request waits for the classes to be seen the first time.
const FIRST_LIST: Duration = Duration::from_secs(3);

/// Room in an answer for what is no file.
const ROOM: usize = 4096;

/// Everything that requests are answered from.
pub(crate) struct Handler {
    pub(crate) discovery: discovery::Documents,
    pub(crate) openapi: openapi::Documents,
    pub(crate) authentication: Authentication,
    pub(crate) authorization: Authorization,
    pub(crate) classes: Arc<Classes>,
    pub(crate) reading: Arc<Reading>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) metrics: Metrics,
    pub(crate) phase: watch::Receiver<Phase>,
    /// The time for one request, reviews included.
    pub(crate) time: Duration,
}

impl Handler {
    /// Answers a request on a connection that showed the certificates `chain`.
    pub(crate) async fn answer<B>(&self, request: &Request<B>, chain: &[CertificateDer<'_>]) -> Answer {
        let route = route(request.uri().path());
        let answer = match route {
            Some(Route::Objects(place)) => self.objects(request, chain, place).await,
            Some(Route::Metrics) => self.metrics(request, chain).await,
            Some(open) => self.open(request, chain, open),
            None => self.nothing(request, chain).await,
        };
        let answer = answer.unwrap_or_else(|failure| failure.response());
        self.metrics.answered(kind(route), answer.status().as_u16());
        answer
    }

    /// Paths that are open to all and depend on nothing.
    fn open<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
        route: Route<'_>,
    ) -> Result<Answer, Failure> {
        let headers = request.headers();
        self.authentication.open(chain, headers)?;
        only_get(request.method())?;
        match route {
            Route::Alive => Ok(health::alive()),
            Route::Ready => Ok(health::ready(*self.phase.borrow(), self.authentication.is_ready())),
            Route::Groups => self.discovery.groups(headers),
            Route::Group => self.discovery.group(headers),
            Route::Resources => self.discovery.resources(headers),
            Route::OpenApiV2 => self.openapi.v2(headers),
            Route::OpenApiV3Index => self.openapi.v3_index(headers),
            Route::OpenApiV3 => self.openapi.v3(headers),
            Route::Metrics | Route::Objects(_) => Err(Failure::no_such_path()),
        }
    }

    async fn nothing<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
    ) -> Result<Answer, Failure> {
        self.authentication.user(chain, request.headers()).await?;
        Err(Failure::no_such_path())
    }

    async fn metrics<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
    ) -> Result<Answer, Failure> {
        let user = self.authentication.user(chain, request.headers()).await?;
        only_get(request.method())?;
        self.authorization.check(&user, &Action::Path("/metrics")).await?;
        let text = self.metrics.text().ok_or_else(|| Failure::internal("the metrics cannot be written"))?;
        Ok(respond::typed("application/openmetrics-text; version=1.0.0; charset=utf-8", text))
    }

    async fn objects<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
        place: Place<'_>,
    ) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.time;
        let user = self.authentication.user(chain, request.headers()).await?;
        let _turn = self.limits.turn(&user.name)?;
        let query = Query::parse(request.uri().query().unwrap_or_default())
            .map_err(|bad| Failure::bad_request(bad.to_string()))?;
        let verb = verb(request.method(), place, query.watch)?;
        let allowed = self.authorization.check(&user, &Action::Objects { verb, place, query: &query }).await;
        allowed.inspect_err(|failure| audit::denied(&user, verb, place, failure))?;
        if query.send_initial_events {
            let message = "sendInitialEvents is not supported: secrets in Vault cannot be watched";
            return Err(Failure::invalid(message));
        }
        if !matches!(verb, "get" | "list") {
            let message =
                format!("{verb} is not supported: secrets in Vault are read by get, their names by list");
            return Err(Failure::method_not_allowed(message));
        }
        let form = resource_form(request.headers(), place.name.is_none());
        let form = form.ok_or_else(|| Failure::not_acceptable("application/json"))?;
        if !self.classes.listed(FIRST_LIST).await {
            return Err(Failure::unavailable("the SecretProviderClasses have not been read yet"));
        }
        match (place.namespace, place.name) {
            (Some(namespace), Some(name)) => self.get(&user, namespace, name, form, &query, deadline).await,
            (namespace, _) => self.list(namespace, form, &query),
        }
    }

    fn list(&self, namespace: Option<&str>, form: Form, query: &Query) -> Result<Answer, Failure> {
        let mut classes = self.classes.of(namespace);
        classes.retain(|class| {
            query.fields.matches(&class.namespace, &class.name) && query.labels.matches(&class.labels)
        });
        let classes = classes.iter().map(|class| &**class);
        match form {
            Form::Whole => json(&VaultSecretList::new(classes)),
            Form::Metadata => json(&MetadataList::new(classes)),
            Form::Table => json(&table::table(classes, query.include_object, Timestamp::now())),
        }
    }

    async fn get(
        &self,
        user: &User,
        namespace: &str,
        name: &str,
        form: Form,
        query: &Query,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let class = self.classes.class(namespace, name).ok_or_else(|| missing(namespace, name))?;
        match form {
            Form::Metadata => json(&Metadata::new(&class)),
            Form::Table => json(&table::table([&*class].into_iter(), query.include_object, Timestamp::now())),
            Form::Whole => {
                let began = Instant::now();
                let read_as = reading::reader(user, &class);
                let answer = match &read_as {
                    Ok(account) => self.read(&class, account, deadline).await,
                    Err(refusal) => Err(refusal.clone()),
                };
                let (code, problem) = match &answer {
                    Ok(answer) => (answer.status(), None),
                    Err(failure) => (failure.code(), Some(failure.message())),
                };
                audit::read(user, read_as.ok(), &class, code.as_u16(), problem, began.elapsed());
                self.metrics.read(began.elapsed());
                answer
            }
        }
    }

    async fn read(&self, class: &HeldClass, account: &str, deadline: Instant) -> Result<Answer, Failure> {
        let read = self.reading.read(class, account, deadline.into()).await;
        let files = read.map_err(|error| Failure::of_read(&class.name, &reading::advised(error)))?.files;
        // room for all of it at once: a buffer that grows leaves copies of values behind
        let room =
            files.iter().map(|file| 2 * file.contents.len() + 2 * file.path.len() + 200).sum::<usize>();
        let mut body = Vec::with_capacity(room + ROOM);
        let written = serde_json::to_writer(&mut body, &VaultSecret::read(class, &files, account));
        written.map_err(|_| Failure::internal("the answer cannot be written"))?;
        Ok(respond::json(StatusCode::OK, body))
    }
}

fn json(body: &impl Serialize) -> Result<Answer, Failure> {
    let body = serde_json::to_vec(body).map_err(|_| Failure::internal("the answer cannot be written"))?;
    Ok(respond::json(StatusCode::OK, body))
}

fn missing(namespace: &str, name: &str) -> Failure {
    let message = format!(
        "secrets.custom.secrets.k8s.io {name:?} not found: namespace {namespace:?} has no SecretProviderClass of that \
         name whose provider is Vault"
    );
    Failure::not_found(message).about(name)
}

fn only_get(method: &Method) -> Result<(), Failure> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    Err(Failure::method_not_allowed("only GET is supported here"))
}

/// Kubernetes' verb for a method (`RequestInfoFactory` of k8s.io/apiserver).
fn verb(method: &Method, place: Place<'_>, watch: bool) -> Result<&'static str, Failure> {
    Ok(match (method.as_str(), place.name.is_some()) {
        ("GET", _) if watch => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return Err(Failure::method_not_allowed("secrets in Vault are read by GET alone")),
    })
}

/// The name of a route in the metrics.
fn kind(route: Option<Route<'_>>) -> &'static str {
    match route {
        Some(Route::Alive | Route::Ready) => "health",
        Some(Route::Metrics) => "metrics",
        Some(Route::Groups | Route::Group | Route::Resources) => "discovery",
        Some(Route::OpenApiV2 | Route::OpenApiV3Index | Route::OpenApiV3) => "openapi",
        Some(Route::Objects(Place { name: Some(_), .. })) => "get",
        Some(Route::Objects(Place { name: None, .. })) => "list",
        None => "other",
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::verb;
    use crate::route::Place;

    #[test]
    fn every_method_has_kubernetes_verb() {
        let one = Place { namespace: Some("ns"), name: Some("db") };
        let all = Place { namespace: Some("ns"), name: None };
        for (method, place, watch, expected) in [
            (Method::GET, one, false, "get"),
            (Method::GET, all, false, "list"),
            (Method::GET, all, true, "watch"),
            (Method::GET, one, true, "watch"),
            (Method::POST, all, false, "create"),
            (Method::PUT, one, false, "update"),
            (Method::PATCH, one, false, "patch"),
            (Method::DELETE, one, false, "delete"),
            (Method::DELETE, all, false, "deletecollection"),
        ] {
            assert_eq!(verb(&method, place, watch), Ok(expected), "{method}");
        }
        for method in [Method::HEAD, Method::OPTIONS, Method::TRACE, Method::CONNECT] {
            assert_eq!(verb(&method, one, false).expect_err("no verb").code(), 405);
        }
    }
}
