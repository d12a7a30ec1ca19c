//! The requests that Coffer sends to Vault.

use std::slice;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use coffer_connect::Patience;
use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http_body_util::Full;
use rustify::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use tokio::time::Instant;
use vaultrs::api::EndpointMiddleware;
use zeroize::Zeroize;

use crate::answer::{Answer, LeaseGrant, Login};
use crate::exchange::HttpRequest;
use crate::refusal::Confidential;
use crate::repeat::Twice;
use crate::{Failure, FailureKind, HeavyTurn, Method, Request, Secret, TargetHandle, json};

/// The name of this program in requests.
const AGENT: &str = concat!("coffer/", env!("CARGO_PKG_VERSION"));

/// A namespace of a Vault server.
#[derive(Clone, Copy)]
pub struct VaultNamespace<'a> {
    /// The server.
    pub target: &'a Arc<TargetHandle>,
    /// The namespace; none is the root namespace.
    pub namespace: Option<&'a str>,
    /// For whom requests are made: the namespace of Kubernetes, whose limits hold.
    pub tenant: &'a str,
    /// The turn for large answers.
    pub turn: &'a Arc<HeavyTurn>,
}

/// A namespace of a Vault server, for requests that end by a deadline.
#[derive(Clone, Copy)]
pub struct Vault<'a> {
    at: VaultNamespace<'a>,
    deadline: Instant,
    /// How often a request of a class or a login is sent again.
    pub(crate) retries: usize,
}

/// The purpose of a request to Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A login.
    Login,
    /// A GET or LIST of a class.
    Read,
    /// A POST or PUT of a class.
    Issue,
    /// A lookup of a token or a lease.
    Lookup,
    /// A renewal of a token or a lease.
    Renew,
    /// A revocation of a token.
    Revoke,
}

/// A request, and what its answer must not repeat.
pub(crate) struct Sending<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) request: &'a Request,
    pub(crate) token: Option<&'a Secret>,
    pub(crate) confidential: Confidential<'a>,
}

impl<'a> Sending<'a> {
    /// Returns a request with a token, which the answer must not repeat.
    pub(crate) fn with_token(kind: RequestKind, request: &'a Request, token: &'a Secret) -> Self {
        let confidential = Confidential { secrets: slice::from_ref(token), arguments: None };
        Self { kind, request, token: Some(token), confidential }
    }
}

/// Observes every request to Vault, for metrics.
pub trait RequestObserver: Send + Sync {
    /// Notes that a request ended with this HTTP status; none if no complete answer came. `took` is
    /// the time from when the request had its turn to the end of the answer, with the time to
    /// connect; none if the request was not sent.
    fn request_ended(&self, kind: RequestKind, status: Option<u16>, took: Option<Duration>);
}

impl<'a> VaultNamespace<'a> {
    /// Returns a client for requests that end by `deadline`.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Vault<'a> {
        Vault { at: self, deadline, retries: self.target.max_retries }
    }
}

impl<'a> Vault<'a> {
    /// Returns a client for requests that end within `time`, and within a quarter of the time that
    /// is left, so that others may follow.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        Self { deadline: now + time.min(left / 4), ..self }
    }

    /// Returns a client that sends no request of a class again.
    #[must_use]
    pub fn without_retries(self) -> Self {
        Self { retries: 0, ..self }
    }

    /// Returns the connections to the server.
    #[must_use]
    pub fn target(&self) -> &'a TargetHandle {
        self.at.target
    }

    /// Returns the namespace; none is the root namespace.
    #[must_use]
    pub fn namespace(&self) -> Option<&'a str> {
        self.at.namespace
    }

    /// Sends a request of a class, and retries it where nothing can be issued twice.
    /// `issues_nothing`: an earlier answer showed that Vault issues nothing at the request.
    ///
    /// # Errors
    /// [`Failure`], without the token and without the arguments of the request.
    pub async fn read(
        &self,
        request: &Request,
        token: &Secret,
        issues_nothing: bool,
    ) -> Result<Answer, Failure> {
        let kind = if request.issues() { RequestKind::Issue } else { RequestKind::Read };
        let mut sending = Sending::with_token(kind, request, token);
        sending.confidential.arguments = request.body.as_ref();
        self.send_with_retries(&sending, Twice::of(request, issues_nothing)).await
    }

    /// Logs in with a service account token. Kubernetes and JWT auth take the same request
    /// (<https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login>).
    ///
    /// # Errors
    /// [`Failure`], without the service account token.
    pub async fn login(&self, mount: &str, role: &str, jwt: &Secret) -> Result<Login, Failure> {
        let mut body = Secret::from("{\"jwt\":");
        json::write_string(&mut body, jwt.expose_str().unwrap_or_default());
        body.push(b",\"role\":");
        json::write_string(&mut body, role);
        body.push(b"}");
        let request = Request::with_body(Method::Post, format!("auth/{mount}/login"), body);
        let confidential = Confidential { secrets: slice::from_ref(jwt), arguments: None };
        let sending = Sending { kind: RequestKind::Login, request: &request, token: None, confidential };
        let answer = self.send_with_retries(&sending, Twice::Issues).await?;
        answer.envelope().login().ok_or_else(|| Failure::NotVault("a login that holds no token".to_owned()))
    }

    /// Returns whether Vault knows the token. Only an answer that the token is unknown counts as a
    /// no.
    pub async fn knows_token(&self, token: &Secret) -> bool {
        let request = Request::get("auth/token/lookup-self");
        let answer = self.send_once(RequestKind::Lookup, &request, token).await;
        !matches!(answer, Err(failure) if failure.classify() == FailureKind::TokenUnknown)
    }

    /// Renews a token
    /// (<https://developer.hashicorp.com/vault/api-docs/auth/token#renew-a-token-self>).
    ///
    /// # Errors
    /// [`Failure`], also if the answer has no token.
    pub async fn renew_token(&self, token: &Secret) -> Result<Login, Failure> {
        let request = Request { method: Method::Post, ..Request::get("auth/token/renew-self") };
        let answer = self.send_once(RequestKind::Renew, &request, token).await?;
        answer.envelope().login().ok_or_else(|| Failure::NotVault("a renewal that holds no token".to_owned()))
    }

    /// Renews a lease (<https://developer.hashicorp.com/vault/api-docs/system/leases#renew-lease>).
    ///
    /// # Errors
    /// [`Failure`], also if the answer has no lease.
    pub async fn renew_lease(&self, token: &Secret, id: &str) -> Result<LeaseGrant, Failure> {
        let answer =
            self.send_once(RequestKind::Renew, &lease_request("sys/leases/renew", id), token).await?;
        answer.envelope().lease().ok_or_else(|| Failure::NotVault("a renewal that holds no lease".to_owned()))
    }

    /// Returns whether Vault has lost a lease. Only an answer with HTTP 400 and Vault's own words
    /// counts as a yes.
    pub async fn has_lost_lease(&self, token: &Secret, id: &str) -> bool {
        let answer =
            self.send_once(RequestKind::Lookup, &lease_request("sys/leases/lookup", id), token).await;
        matches!(answer, Err(failure) if failure.classify() == FailureKind::BadRequest)
    }

    /// Revokes a token, and everything that was issued to the token.
    ///
    /// # Errors
    /// [`Failure`]; the token may still be valid.
    pub async fn revoke_token(&self, token: &Secret) -> Result<(), Failure> {
        let request = Request { method: Method::Post, ..Request::get("auth/token/revoke-self") };
        match self.send_once(RequestKind::Revoke, &request, token).await {
            Ok(_) | Err(Failure::Empty(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Returns when all requests end.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sends a request once. `may_repeat`: it is sent again if the connection turns out to be dead.
    pub(crate) async fn send(&self, sending: &Sending<'_>, may_repeat: bool) -> Result<Answer, Failure> {
        let target = self.at.target;
        let request = http_request(&target.base, self.at.namespace, sending.request, sending.token)?;
        let patience = Patience { deadline: self.deadline, may_repeat };
        let began = Arc::new(OnceLock::new());
        let exchange = match &target.others {
            None => {
                // boxed: every future around the exchange would be as large, and a future is moved
                // when it is created
                Box::pin(target.exchange(request, self.at.tenant, self.at.turn, patience, &began)).await
            }
            Some(others) => {
                let (target, turn) = (Arc::clone(target), Arc::clone(self.at.turn));
                let (tenant, began) = (self.at.tenant.to_owned(), Arc::clone(&began));
                let exchange =
                    async move { target.exchange(request, &tenant, &turn, patience, &began).await };
                others.run(exchange).await
            }
        };
        let status = exchange.as_ref().ok().map(|exchange| exchange.status);
        target.observer.request_ended(sending.kind, status, began.get().map(Instant::elapsed));
        Answer::new(exchange?, &sending.confidential)
    }
}

/// Returns a request over HTTP. `base` is the base URL of the target, which ends in `/v1`.
pub(crate) fn http_request(
    base: &str,
    namespace: Option<&str>,
    request: &Request,
    token: Option<&Secret>,
) -> Result<HttpRequest, Failure> {
    let mut middleware = EndpointMiddleware {
        token: token.and_then(Secret::expose_str).unwrap_or_default().to_owned(),
        // the base URL of the target ends in /v1 already
        version: String::new(),
        wrap: None,
        namespace: namespace.map(ToOwned::to_owned),
    };
    let built = VaultEndpoint(request).with_middleware(&middleware).request(base);
    middleware.token.zeroize();
    let mut built = built.map_err(|_| Failure::NoRequest)?.map(|body| Full::new(Bytes::from(body)));
    built.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
    built.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(token) = built.headers_mut().get_mut("X-Vault-Token") {
        token.set_sensitive(true);
    }
    if request.body.is_some() {
        built.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(built)
}

fn lease_request(path: &str, id: &str) -> Request {
    let mut body = Secret::from("{\"lease_id\":");
    json::write_string(&mut body, id);
    body.push(b"}");
    Request::with_body(Method::Put, path, body)
}

/// Any request to Vault as an endpoint of `vaultrs`.
///
/// The typed requests of `vaultrs` are not used: they fail on valid answers of Vault, and their
/// `Debug` output contains secrets.
struct VaultEndpoint<'a>(&'a Request);

impl Endpoint for VaultEndpoint<'_> {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.0.path.clone()
    }

    fn method(&self) -> RequestMethod {
        match self.0.method {
            Method::Get => RequestMethod::GET,
            Method::List => RequestMethod::LIST,
            Method::Post => RequestMethod::POST,
            Method::Put => RequestMethod::PUT,
        }
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        let query: Vec<String> =
            self.0.query.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
        Ok(Some(query.join("&")).filter(|query| !query.is_empty()))
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(self.0.body.as_ref().map(|body| body.expose().to_vec()))
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
