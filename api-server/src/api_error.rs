//! Errors of requests, answered as Kubernetes' `Status` objects.

use bytes::Bytes;
use coffer_provider::{Error, ErrorKind, RefusalReason};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};

use crate::api::{GROUP, RESOURCE};
use crate::respond;

/// A request that cannot be answered as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    code: StatusCode,
    /// A reason of apimachinery's `StatusReason`.
    reason: &'static str,
    message: String,
    /// Name of the object concerned.
    name: Option<String>,
    cause: Option<(&'static str, String)>,
    retry_after: Option<u16>,
    /// The policy or limit that refused the request.
    refused: Option<RefusalReason>,
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            name: None,
            cause: None,
            retry_after: None,
            refused: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::not_found("the server could not find the requested resource")
    }

    pub(crate) fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(crate) fn not_acceptable(offered: &str) -> Self {
        let message = format!("only the following media types are accepted: {offered}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// Too many requests at once. The only error with `Retry-After`: clients repeat the request.
    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        Self { retry_after: Some(1), refused: Some(RefusalReason::Requests), ..error }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// Something that this server depends on is away. Without `Retry-After`, for client-go would
    /// repeat the request ten times.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    pub(crate) fn timed_out(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
    }

    /// The turn of a read did not come in time.
    pub(crate) fn waited_too_long(message: impl Into<String>) -> Self {
        Self { refused: Some(RefusalReason::Turns), ..Self::timed_out(message) }
    }

    /// Returns the error of a failed read of the class `name`.
    pub(crate) fn from_read(name: &str, error: &Error) -> Self {
        let message = format!("{RESOURCE}.{GROUP} {name:?}: {error}");
        let api_error = match error.kind {
            ErrorKind::InvalidRequest => Self::bad_request(message),
            ErrorKind::InvalidClass => Self::invalid(message),
            ErrorKind::NoToken
            | ErrorKind::LoginRefused
            | ErrorKind::Denied
            | ErrorKind::RefusedByPolicy
            | ErrorKind::Issues => Self::forbidden(message),
            ErrorKind::NotFound => Self::not_found(message),
            ErrorKind::Unavailable | ErrorKind::NoVersionKey => Self::unavailable(message),
            ErrorKind::OverLimit => Self::too_many(message),
            ErrorKind::TimedOut => Self::timed_out(message),
            ErrorKind::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message),
            ErrorKind::Misconfigured | ErrorKind::BadAnswer | ErrorKind::Internal => Self::internal(message),
        };
        let cause = match error.kind {
            ErrorKind::InvalidClass => Some(("FieldValueInvalid", "spec.parameters".to_owned())),
            ErrorKind::NotFound => error.path.clone().map(|path| ("FieldValueNotFound", path)),
            _ => None,
        };
        Self { cause, refused: error.refused, ..api_error }.about(name)
    }

    /// Names the object concerned, in the details of the status.
    pub(crate) fn about(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    pub(crate) fn code(&self) -> StatusCode {
        self.code
    }

    /// Returns the policy or limit that refused the request; none for other errors.
    pub(crate) fn refused(&self) -> Option<RefusalReason> {
        self.refused
    }

    /// Returns the message.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns the answer with a `Status` object.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let body = serde_json::to_vec(&self.status()).unwrap_or_default();
        let mut response = respond::json(self.code, body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, bearer);
        }
        response
    }

    fn status(&self) -> Status {
        let causes = self.cause.as_ref().map(|(reason, field)| {
            vec![StatusCause {
                field: Some(field.clone()),
                message: Some(self.message.clone()),
                reason: Some((*reason).to_owned()),
            }]
        });
        let details = StatusDetails {
            causes,
            group: self.name.as_ref().map(|_| GROUP.to_owned()),
            kind: self.name.as_ref().map(|_| RESOURCE.to_owned()),
            name: self.name.clone(),
            retry_after_seconds: self.retry_after.map(i32::from),
            uid: None,
        };
        Status {
            code: Some(i32::from(self.code.as_u16())),
            message: Some(self.message.clone()),
            reason: Some(self.reason.to_owned()),
            status: Some("Failure".to_owned()),
            details: (details != StatusDetails::default()).then_some(details),
            ..Status::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use coffer_provider::{Error, ErrorKind};
    use serde_json::{Value, json};

    use super::ApiError;

    fn status(error: &ApiError) -> Value {
        serde_json::to_value(error.status()).expect("JSON")
    }

    #[test]
    fn every_failed_read_has_a_code_and_a_reason() {
        for (kind, code, reason) in [
            (ErrorKind::InvalidClass, 422, "Invalid"),
            (ErrorKind::NoToken, 403, "Forbidden"),
            (ErrorKind::LoginRefused, 403, "Forbidden"),
            (ErrorKind::Denied, 403, "Forbidden"),
            (ErrorKind::Issues, 403, "Forbidden"),
            (ErrorKind::RefusedByPolicy, 403, "Forbidden"),
            (ErrorKind::NotFound, 404, "NotFound"),
            (ErrorKind::Unavailable, 503, "ServiceUnavailable"),
            (ErrorKind::TimedOut, 504, "Timeout"),
            (ErrorKind::TooLarge, 413, "RequestEntityTooLarge"),
            (ErrorKind::BadAnswer, 500, "InternalError"),
            (ErrorKind::Internal, 500, "InternalError"),
        ] {
            let status = status(&ApiError::from_read("db", &Error::new(kind, "broken")));
            assert_eq!((&status["code"], &status["reason"]), (&json!(code), &json!(reason)), "{kind:?}");
            assert_eq!((&status["kind"], &status["apiVersion"]), (&json!("Status"), &json!("v1")));
            assert_eq!(status["details"]["name"], "db");
            assert_eq!(status["details"]["kind"], "secrets");
        }
    }

    #[test]
    fn a_missing_path_is_named() {
        let error = Error::new(ErrorKind::NotFound, "nothing there").with_path("secret/data/db");
        let status = status(&ApiError::from_read("db", &error));
        assert_eq!(status["details"]["causes"][0]["field"], "secret/data/db");
    }

    #[test]
    fn only_too_many_requests_say_when_to_retry() {
        let busy = ApiError::too_many("busy").response();
        assert_eq!(busy.headers()["retry-after"], "1");
        let away = ApiError::from_read("db", &Error::new(ErrorKind::Unavailable, "away")).response();
        assert!(!away.headers().contains_key("retry-after"));
        assert_eq!(away.headers()["cache-control"], "no-store");
    }
}
