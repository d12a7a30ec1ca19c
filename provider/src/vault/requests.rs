//! The requests that Coffer makes of Vault, with retries where nothing can be issued twice.

use std::time::Duration;

use ::http::HeaderValue;
use backon::{ExponentialBuilder, Retryable};
use rustify::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use tokio::time::Instant;
use vaultrs::api::EndpointMiddleware;
use zeroize::Zeroize;

use super::answer::{Answer, Lease, Login};
use super::failure::{Failure, Refusal};
use super::target::TargetHandle;
use crate::metrics::{Metrics, RequestKind};
use crate::plan::{Method, Request};
use crate::{Secret, go_json};

/// Waits between tries, doubled each time and spread at random.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Vault, for one read: a target, a namespace, and the time that there is.
#[derive(Clone, Copy)]
pub(crate) struct Vault<'a> {
    pub(crate) target: &'a TargetHandle,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) deadline: Instant,
    pub(crate) metrics: &'a Metrics,
}

impl Vault<'_> {
    /// Makes a request of a class.
    pub(crate) async fn read(&self, request: &Request, token: &Secret) -> Result<Answer, Failure> {
        let kind = if request.issues() { RequestKind::Issue } else { RequestKind::Read };
        let mut secrets = request.body.as_ref().map(go_json::strings).unwrap_or_default();
        secrets.push(token.clone());
        self.send_again(kind, request, Some(token), &secrets).await
    }

    /// Logs in with a service account token; Kubernetes and JWT auth take the same request
    /// (<https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login>).
    pub(crate) async fn login(&self, mount: &str, role: &str, jwt: &Secret) -> Result<Login, Failure> {
        let mut body = Secret::from("{\"jwt\":");
        go_json::write_string(&mut body, jwt.expose_str().unwrap_or_default());
        body.push(b",\"role\":");
        go_json::write_string(&mut body, role);
        body.push(b"}");
        let request = Request {
            method: Method::Post,
            path: format!("auth/{mount}/login"),
            query: Vec::new(),
            body: Some(body),
        };
        let answer = self.send_again(RequestKind::Login, &request, None, std::slice::from_ref(jwt)).await?;
        answer.envelope().login().ok_or_else(|| Failure::NotVault("a login that holds no token".to_owned()))
    }

    /// Whether Vault still knows the token. Anything but a clear no counts as a yes.
    pub(crate) async fn knows(&self, token: &Secret) -> bool {
        let request = token_request(Method::Get, "auth/token/lookup-self");
        let answer = self.send(RequestKind::Lookup, &request, Some(token), std::slice::from_ref(token)).await;
        !matches!(answer, Err(failure) if failure.disowns_token())
    }

    /// Renews the token (<https://developer.hashicorp.com/vault/api-docs/auth/token#renew-a-token-self>).
    pub(crate) async fn renew(&self, token: &Secret) -> Result<Login, Failure> {
        let request = token_request(Method::Post, "auth/token/renew-self");
        let answer =
            self.send(RequestKind::Renew, &request, Some(token), std::slice::from_ref(token)).await?;
        answer.envelope().login().ok_or_else(|| Failure::NotVault("a renewal that holds no token".to_owned()))
    }

    /// Renews a lease (<https://developer.hashicorp.com/vault/api-docs/system/leases#renew-lease>).
    pub(crate) async fn renew_lease(&self, token: &Secret, id: &str) -> Result<Lease, Failure> {
        let request = lease_request("sys/leases/renew", id);
        let answer =
            self.send(RequestKind::Renew, &request, Some(token), std::slice::from_ref(token)).await?;
        answer.envelope().lease().ok_or_else(|| Failure::NotVault("a renewal that holds no lease".to_owned()))
    }

    /// Whether Vault knows the lease no more. Anything but a clear word of that counts as no.
    pub(crate) async fn has_lost(&self, token: &Secret, id: &str) -> bool {
        let request = lease_request("sys/leases/lookup", id);
        let answer = self.send(RequestKind::Lookup, &request, Some(token), std::slice::from_ref(token)).await;
        matches!(answer, Err(failure) if failure.is_bad_request())
    }

    /// Revokes the token, and what was issued to it.
    pub(crate) async fn revoke(&self, token: &Secret) -> Result<(), Failure> {
        let request = token_request(Method::Post, "auth/token/revoke-self");
        match self.send(RequestKind::Revoke, &request, Some(token), std::slice::from_ref(token)).await {
            Ok(_) | Err(Failure::Empty(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a request, a GET or LIST again after a failure that may pass, the others only where no connection was
    /// made.
    async fn send_again(
        &self,
        kind: RequestKind,
        request: &Request,
        token: Option<&Secret>,
        secrets: &[Secret],
    ) -> Result<Answer, Failure> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_BACKOFF)
            .with_max_delay(LONGEST_BACKOFF)
            .with_max_times(self.target.max_retries)
            .with_jitter();
        let may_repeat = |failure: &Failure| match failure {
            Failure::Unreachable(_) => true,
            other => !request.issues() && other.is_passing(),
        };
        (|| self.send(kind, request, token, secrets))
            .retry(backoff)
            .when(may_repeat)
            .adjust(|failure, wait| self.wait_before_retry(failure, wait))
            .await
    }

    /// How long to wait before the next try; nothing where there is no time for it.
    fn wait_before_retry(&self, failure: &Failure, wait: Option<Duration>) -> Option<Duration> {
        let asked = match failure {
            Failure::Refused(Refusal { retry_after, .. }) => *retry_after,
            _ => None,
        };
        let wait = wait?.max(asked.unwrap_or_default());
        let again = Instant::now().checked_add(wait);
        again.is_some_and(|again| again < self.deadline).then_some(wait)
    }

    async fn send(
        &self,
        kind: RequestKind,
        request: &Request,
        token: Option<&Secret>,
        secrets: &[Secret],
    ) -> Result<Answer, Failure> {
        let request = self.http_request(request, token)?;
        let exchange = self.target.exchange(request, self.deadline).await;
        self.metrics.vault_request(kind, exchange.as_ref().ok().map(|exchange| exchange.status));
        let exchange = exchange?;
        Answer::new(exchange.status, &exchange.headers, exchange.body, exchange.share, secrets)
    }

    fn http_request(&self, request: &Request, token: Option<&Secret>) -> Result<reqwest::Request, Failure> {
        let mut middleware = EndpointMiddleware {
            token: token.and_then(Secret::expose_str).unwrap_or_default().to_owned(),
            // the target's base ends in /v1
            version: String::new(),
            wrap: None,
            namespace: self.namespace.map(ToOwned::to_owned),
        };
        let built = VaultEndpoint(request).with_middleware(&middleware).request(&self.target.base);
        middleware.token.zeroize();
        let built = built.ok().and_then(|built| reqwest::Request::try_from(built).ok());
        let mut built = built.ok_or(Failure::NoRequest)?;
        if let Some(token) = built.headers_mut().get_mut("X-Vault-Token") {
            token.set_sensitive(true);
        }
        if request.body.is_some() {
            built
                .headers_mut()
                .insert(::http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(built)
    }
}

fn lease_request(path: &str, id: &str) -> Request {
    let mut body = Secret::from("{\"lease_id\":");
    go_json::write_string(&mut body, id);
    body.push(b"}");
    Request { method: Method::Put, path: path.to_owned(), query: Vec::new(), body: Some(body) }
}

fn token_request(method: Method, path: &str) -> Request {
    Request { method, path: path.to_owned(), query: Vec::new(), body: None }
}

/// Any request to Vault, as `vaultrs` wants it. Its own typed requests fail on answers that Vault does
/// send, and print what they hold.
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
