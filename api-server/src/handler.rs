//! One request, from its path to the answer: who sends it, whether that user may, and what is
//! answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_process::Phase;
use http::{Method, Request, Response, StatusCode};
use k8s_openapi::jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use tokio::sync::watch;

use crate::accept::{ObjectForm, object_form};
use crate::api_error::ApiError;
use crate::authentication::Authentication;
use crate::authorization::{Authorization, RequestedAction};
use crate::class_reader::{ClassReader, reading_account};
use crate::class_watch::ClassWatch;
use crate::discovery::DiscoveryDocuments;
use crate::metrics::ApiMetrics;
use crate::openapi::OpenApiDocuments;
use crate::query::Query;
use crate::request_limits::RequestLimits;
use crate::route::{ObjectScope, Route, route};
use crate::user::User;
use crate::vault_secret::{PartialMetadata, PartialMetadataList, VaultSecret, VaultSecretList};
use crate::verb::Verb;
use crate::watched_class::WatchedClass;
use crate::{audit, health, respond, table};

type HttpResponse = Response<Bytes>;

/// Time that a request waits for the first list of SecretProviderClasses.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes reserved in an answer for everything but files.
const METADATA_BYTES: usize = 4096;

/// Everything that requests are answered from.
pub(crate) struct Handler {
    pub(crate) discovery: DiscoveryDocuments,
    pub(crate) openapi: OpenApiDocuments,
    pub(crate) authentication: Authentication,
    pub(crate) authorization: Authorization,
    pub(crate) classes: Arc<ClassWatch>,
    pub(crate) reader: Arc<ClassReader>,
    pub(crate) limits: Arc<RequestLimits>,
    pub(crate) metrics: ApiMetrics,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Time limit of one request, including its reviews by kube-apiserver.
    pub(crate) request_timeout: Duration,
}

impl Handler {
    /// Answers a request on a connection with the client's certificates `chain`.
    pub(crate) async fn answer<B>(&self, request: &Request<B>, chain: &[CertificateDer<'_>]) -> HttpResponse {
        let route = route(request.uri().path());
        let answer = match route {
            Some(Route::Objects(scope)) => self.objects(request, chain, scope).await,
            Some(Route::Metrics) => self.metrics(request, chain).await,
            Some(open) => self.open(request, chain, open),
            None => self.unknown_path(request, chain).await,
        };
        let answer = answer.unwrap_or_else(|error| error.response());
        self.metrics.answered(metrics_kind(route), answer.status().as_u16());
        answer
    }

    /// Answers paths that are open to all and depend on neither kube-apiserver nor Vault.
    fn open<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
        route: Route<'_>,
    ) -> Result<HttpResponse, ApiError> {
        let headers = request.headers();
        self.authentication.check_certificate(chain, headers)?;
        require_get(request.method())?;
        match route {
            Route::Alive => Ok(health::alive()),
            Route::Ready => Ok(health::ready(*self.phase.borrow(), self.authentication.is_ready())),
            Route::Groups => self.discovery.groups(headers),
            Route::Group => self.discovery.group(headers),
            Route::Resources => self.discovery.resources(headers),
            Route::OpenApiV2 => self.openapi.v2(headers),
            Route::OpenApiV3Index => self.openapi.v3_index(headers),
            Route::OpenApiV3 => self.openapi.v3(headers),
            Route::Metrics | Route::Objects(_) => Err(ApiError::no_such_path()),
        }
    }

    async fn unknown_path<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
    ) -> Result<HttpResponse, ApiError> {
        self.authentication.user(chain, request.headers()).await?;
        Err(ApiError::no_such_path())
    }

    async fn metrics<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
    ) -> Result<HttpResponse, ApiError> {
        let user = self.authentication.user(chain, request.headers()).await?;
        require_get(request.method())?;
        self.authorization.check(&user, &RequestedAction::Path("/metrics")).await?;
        let text = self.metrics.text().ok_or_else(|| ApiError::internal("the metrics cannot be written"))?;
        Ok(respond::typed("application/openmetrics-text; version=1.0.0; charset=utf-8", text))
    }

    async fn objects<B>(
        &self,
        request: &Request<B>,
        chain: &[CertificateDer<'_>],
        scope: ObjectScope<'_>,
    ) -> Result<HttpResponse, ApiError> {
        let deadline = Instant::now() + self.request_timeout;
        let user = self.authentication.user(chain, request.headers()).await?;
        let _permit = self.limits.permit(&user.name)?;
        let query = Query::parse(request.uri().query().unwrap_or_default())
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let verb = Verb::of_request(request.method(), scope, query.watch)?;
        let action = RequestedAction::Objects { verb, scope, query: &query };
        let allowed = self.authorization.check(&user, &action).await;
        allowed.inspect_err(|error| audit::denied(&user, verb, scope, error))?;
        check_supported(verb, &query)?;
        let form = object_form(request.headers(), scope.name.is_none());
        let form = form.ok_or_else(|| ApiError::not_acceptable("application/json"))?;
        if !self.classes.listed(FIRST_LIST_TIMEOUT).await {
            return Err(ApiError::unavailable("the SecretProviderClasses have not been read yet"));
        }
        match (scope.namespace, scope.name) {
            (Some(namespace), Some(name)) => self.get(&user, namespace, name, form, &query, deadline).await,
            (namespace, _) => self.list(namespace, form, &query),
        }
    }

    fn list(
        &self,
        namespace: Option<&str>,
        form: ObjectForm,
        query: &Query,
    ) -> Result<HttpResponse, ApiError> {
        let mut classes = self.classes.classes(namespace);
        classes.retain(|class| {
            query.fields.matches(&class.namespace, &class.name) && query.labels.matches(&class.labels)
        });
        let classes = classes.iter().map(|class| &**class);
        match form {
            ObjectForm::Whole => json(&VaultSecretList::new(classes)),
            ObjectForm::Metadata => json(&PartialMetadataList::new(classes)),
            ObjectForm::Table => json(&table::table(classes, query.include_object, Timestamp::now())),
        }
    }

    async fn get(
        &self,
        user: &User,
        namespace: &str,
        name: &str,
        form: ObjectForm,
        query: &Query,
        deadline: Instant,
    ) -> Result<HttpResponse, ApiError> {
        let class = self.classes.class(namespace, name).ok_or_else(|| no_such_class(namespace, name))?;
        match form {
            ObjectForm::Metadata => json(&PartialMetadata::new(&class)),
            ObjectForm::Table => {
                json(&table::table([&*class].into_iter(), query.include_object, Timestamp::now()))
            }
            ObjectForm::Whole => {
                let began = Instant::now();
                let read_as = reading_account(user, &class);
                let answer = match &read_as {
                    Ok(account) => self.read(&class, account, deadline).await,
                    Err(refusal) => Err(refusal.clone()),
                };
                let (code, problem) = match &answer {
                    Ok(answer) => (answer.status(), None),
                    Err(error) => (error.code(), Some(error.message())),
                };
                audit::read(user, read_as.ok(), &class, code.as_u16(), problem, began.elapsed());
                self.metrics.read(began.elapsed());
                answer
            }
        }
    }

    async fn read(
        &self,
        class: &WatchedClass,
        account: &str,
        deadline: Instant,
    ) -> Result<HttpResponse, ApiError> {
        let read = self.reader.read(class, account, deadline.into()).await;
        let files = read.map_err(|error| ApiError::from_read(&class.name, &error))?.files;
        // reserved at once: a buffer that grows leaves copies of values behind
        let file_bytes =
            files.iter().map(|file| 2 * file.contents.len() + 2 * file.path.len() + 200).sum::<usize>();
        let mut body = Vec::with_capacity(file_bytes + METADATA_BYTES);
        let written = serde_json::to_writer(&mut body, &VaultSecret::read(class, &files, account));
        written.map_err(|_| ApiError::internal("the answer cannot be written"))?;
        Ok(respond::json(StatusCode::OK, body))
    }
}

fn json(body: &impl Serialize) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(body).map_err(|_| ApiError::internal("the answer cannot be written"))?;
    Ok(respond::json(StatusCode::OK, body))
}

/// Refuses verbs and queries that Kubernetes has and this server does not.
fn check_supported(verb: Verb, query: &Query) -> Result<(), ApiError> {
    if query.send_initial_events {
        let message = "sendInitialEvents is not supported: secrets in Vault cannot be watched";
        return Err(ApiError::invalid(message));
    }
    if !matches!(verb, Verb::Get | Verb::List) {
        let verb = verb.as_str();
        let message =
            format!("{verb} is not supported: secrets in Vault are read by get, their names by list");
        return Err(ApiError::method_not_allowed(message));
    }
    Ok(())
}

fn no_such_class(namespace: &str, name: &str) -> ApiError {
    let message = format!(
        "secrets.custom.secrets.k8s.io {name:?} not found: namespace {namespace:?} has no SecretProviderClass of that \
         name whose provider is Vault"
    );
    ApiError::not_found(message).about(name)
}

fn require_get(method: &Method) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    Err(ApiError::method_not_allowed("only GET is supported here"))
}

/// Returns the value of a route in the metrics' label `kind`.
fn metrics_kind(route: Option<Route<'_>>) -> &'static str {
    match route {
        Some(Route::Alive | Route::Ready) => "health",
        Some(Route::Metrics) => "metrics",
        Some(Route::Groups | Route::Group | Route::Resources) => "discovery",
        Some(Route::OpenApiV2 | Route::OpenApiV3Index | Route::OpenApiV3) => "openapi",
        Some(Route::Objects(ObjectScope { name: Some(_), .. })) => "get",
        Some(Route::Objects(ObjectScope { name: None, .. })) => "list",
        None => "other",
    }
}
