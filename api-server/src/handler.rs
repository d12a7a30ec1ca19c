//! One request, from its path to the answer: who sends it, whether that user may, and what is
//! answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_process::Phase;
use http::header::WARNING;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use k8s_openapi::jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use tokio::sync::watch;

use crate::accept::{ObjectForm, object_form};
use crate::api_error::ApiError;
use crate::authentication::Authentication;
use crate::authorization::{Authorization, RequestedAction};
use crate::class_list::ClassList;
use crate::class_map::KnownClass;
use crate::class_reader::ClassReader;
use crate::class_source::{ClassSource, no_such_class};
use crate::connections::{CertifiedClient, Client};
use crate::discovery::DiscoveryDocuments;
use crate::metrics::ApiMetrics;
use crate::openapi::OpenApiDocuments;
use crate::query::Query;
use crate::read_task::ReadTask;
use crate::request_limits::{RequestLimits, RequestPermit};
use crate::respond::AnswerBody;
use crate::route::{ObjectScope, Route, route};
use crate::vault_secret::PartialMetadata;
use crate::verb::Verb;
use crate::{audit, health, respond, table};

type HttpResponse = Response<AnswerBody>;

/// Time that a request waits for the first list of SecretProviderClasses.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(3);

/// The warning, which kubectl shows, that a list of the cluster lacks namespaces.
const INCOMPLETE: &str =
    "299 - \"the list lacks namespaces with too many SecretProviderClasses; the server's log names them\"";

/// Everything that requests are answered from.
pub(crate) struct Handler {
    pub(crate) discovery: DiscoveryDocuments,
    pub(crate) openapi: OpenApiDocuments,
    pub(crate) authentication: Authentication,
    pub(crate) authorization: Authorization,
    pub(crate) classes: ClassSource,
    pub(crate) reader: Arc<ClassReader>,
    pub(crate) limits: RequestLimits,
    pub(crate) metrics: ApiMetrics,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Time limit of one request, including its reviews by kube-apiserver.
    pub(crate) request_timeout: Duration,
}

impl Handler {
    /// Returns what a client's certificates prove, at the beginning of its connection.
    pub(crate) fn certified_client(&self, chain: &[CertificateDer<'_>]) -> CertifiedClient {
        self.authentication.certified_client(chain)
    }

    /// Answers a request of a client.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request<()>, client: &Client) -> HttpResponse {
        let (Parts { method, uri, headers, .. }, ()) = request.into_parts();
        let route = route(uri.path());
        let whole =
            |answer: Result<Response<Bytes>, ApiError>| answer.map(|answer| answer.map(AnswerBody::from));
        let answer = match route {
            Some(Route::Objects(scope)) => self.objects(&method, &uri, headers, client, scope).await,
            Some(Route::Metrics) => whole(self.metrics(&method, &headers, client).await),
            Some(open) => whole(self.open(&method, &headers, client, open)),
            None => whole(self.unknown_path(&headers, client).await),
        };
        if let Some(reason) = answer.as_ref().err().and_then(ApiError::refused) {
            self.metrics.refused(reason);
        }
        let answer = answer.unwrap_or_else(|error| error.response().map(AnswerBody::from));
        self.metrics.answered(metrics_kind(route), answer.status().as_u16());
        answer
    }

    /// Answers paths that are open to all and depend on neither kube-apiserver nor Vault.
    fn open(
        &self,
        method: &Method,
        headers: &HeaderMap,
        client: &Client,
        route: Route<'_>,
    ) -> Result<Response<Bytes>, ApiError> {
        self.authentication.check_certificate(&client.chain, headers)?;
        require_get(method)?;
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

    async fn unknown_path(&self, headers: &HeaderMap, client: &Client) -> Result<Response<Bytes>, ApiError> {
        self.authentication.user(client, headers).await?;
        Err(ApiError::no_such_path())
    }

    async fn metrics(
        &self,
        method: &Method,
        headers: &HeaderMap,
        client: &Client,
    ) -> Result<Response<Bytes>, ApiError> {
        let user = self.authentication.user(client, headers).await?;
        let _permit = self.limits.permit(&user.name)?;
        require_get(method)?;
        self.authorization.check(&user, &RequestedAction::Path("/metrics")).await?;
        let text = self.metrics.text().ok_or_else(|| ApiError::internal("the metrics cannot be written"))?;
        Ok(respond::typed("application/openmetrics-text; version=1.0.0; charset=utf-8", text))
    }

    async fn objects(
        self: &Arc<Self>,
        method: &Method,
        uri: &Uri,
        headers: HeaderMap,
        client: &Client,
        scope: ObjectScope<'_>,
    ) -> Result<HttpResponse, ApiError> {
        let deadline = Instant::now() + self.request_timeout;
        let user = self.authentication.user(client, &headers).await?;
        let form = object_form(&headers, scope.name.is_none());
        // what follows may wait, and the headers of the front proxy may be long
        drop(headers);
        let mut permit = self.limits.permit(&user.name)?;
        let query = Query::parse(uri.query().unwrap_or_default())
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let verb = Verb::of_request(method, scope, query.watch)?;
        let action = RequestedAction::Objects { verb, scope, query: &query };
        let allowed = self.authorization.check(&user, &action).await;
        allowed.inspect_err(|error| audit::denied(&user, verb, scope, error))?;
        check_supported(verb, &query)?;
        let form = form.ok_or_else(|| ApiError::not_acceptable("application/json"))?;
        if !self.classes.watch.listed(FIRST_LIST_TIMEOUT).await {
            return Err(ApiError::unavailable("the SecretProviderClasses have not been read yet"));
        }
        if let Some(namespace) = scope.namespace {
            self.limits.count_namespace(&mut permit, namespace)?;
        }
        match (scope.namespace, scope.name) {
            (Some(namespace), Some(name)) => {
                let (namespace, name) = (namespace.to_owned(), name.to_owned());
                let read = ReadTask { user, namespace, name, deadline, permit };
                self.get(read, form, &query).await
            }
            (namespace, _) => self.list(namespace, form, query, permit),
        }
    }

    /// Answers a list. The permit is held while the client reads.
    fn list(
        &self,
        namespace: Option<&str>,
        form: ObjectForm,
        query: Query,
        permit: RequestPermit,
    ) -> Result<HttpResponse, ApiError> {
        let classes = &self.classes.watch;
        let dropped = classes.dropped();
        if let Some(namespace) = namespace.filter(|own| dropped.iter().any(|dropped| dropped == own)) {
            let message = "has too many SecretProviderClasses to be listed; read them by their names";
            return Err(ApiError::unavailable(format!("namespace {namespace:?} {message}")));
        }
        let list = ClassList::new(Arc::clone(classes), namespace, query, form);
        let answer = respond::json(StatusCode::OK, Vec::new());
        let mut answer = answer.map(|_| list.into_body().with_permit(permit));
        if namespace.is_none() && !dropped.is_empty() {
            answer.headers_mut().insert(WARNING, HeaderValue::from_static(INCOMPLETE));
        }
        Ok(answer)
    }

    async fn get(
        self: &Arc<Self>,
        read: ReadTask,
        form: ObjectForm,
        query: &Query,
    ) -> Result<HttpResponse, ApiError> {
        if form == ObjectForm::Whole {
            return read.run(self).await;
        }
        let class = match self.classes.watch.class(&read.namespace, &read.name) {
            KnownClass::Class(class) => class,
            KnownClass::None => return Err(no_such_class(&read.namespace, &read.name)),
            KnownClass::Dropped => {
                self.classes.current(&read.namespace, &read.name, read.deadline.into()).await?.watched
            }
        };
        if form == ObjectForm::Metadata {
            return json(&PartialMetadata::new(&class));
        }
        json(&table::table(&class, query.include_object, Timestamp::now()))
    }
}

fn json(body: &impl Serialize) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(body).map_err(|_| ApiError::internal("the answer cannot be written"))?;
    Ok(respond::json(StatusCode::OK, body).map(AnswerBody::from))
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
