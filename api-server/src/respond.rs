//! HTTP answers, with the headers that all of them have.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use ring::digest::{SHA256, digest};

use crate::request_limits::RequestPermit;

/// The body of an answer, and what the answer takes of the limits until it is sent.
pub(crate) struct AnswerBody {
    content: BodyContent,
    _permit: Option<RequestPermit>,
}

enum BodyContent {
    Whole(Bytes),
    /// Pieces that are made when the client can take them, so that a long list is never in memory.
    Pieces(Box<dyn Iterator<Item = Bytes> + Send>),
}

impl AnswerBody {
    /// Returns a body that is made piece by piece. No piece is empty.
    pub(crate) fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Self { content: BodyContent::Pieces(Box::new(pieces)), _permit: None }
    }

    /// Holds the permit until the body is sent or given up.
    pub(crate) fn with_permit(self, permit: RequestPermit) -> Self {
        Self { _permit: Some(permit), ..self }
    }

    /// Returns the next part to send; a whole body is divided into parts of `most` bytes.
    pub(crate) fn next_piece(&mut self, most: usize) -> Option<Bytes> {
        match &mut self.content {
            BodyContent::Whole(rest) if rest.is_empty() => None,
            BodyContent::Whole(rest) => Some(rest.split_to(rest.len().min(most))),
            BodyContent::Pieces(pieces) => pieces.next(),
        }
    }

    /// Returns how many bytes are still to be sent, if that is known.
    pub(crate) fn exact_len(&self) -> Option<usize> {
        match &self.content {
            BodyContent::Whole(rest) => Some(rest.len()),
            BodyContent::Pieces(_) => None,
        }
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self { content: BodyContent::Whole(bytes), _permit: None }
    }
}

/// Returns an answer with JSON that must not be cached.
pub(crate) fn json(code: StatusCode, body: Vec<u8>) -> Response<Bytes> {
    answer(code, "application/json", "no-store", body.into())
}

/// Returns an answer with plain text that must not be cached.
pub(crate) fn text(code: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    answer(code, "text/plain; charset=utf-8", "no-store", body.into())
}

/// Returns an answer with text of another type that must not be cached.
pub(crate) fn typed(content_type: &'static str, body: String) -> Response<Bytes> {
    answer(StatusCode::OK, content_type, "no-store", body.into())
}

/// A document that is the same on every replica and never changes while the process lives.
pub(crate) struct StaticDocument {
    content_type: &'static str,
    body: Bytes,
    etag: HeaderValue,
}

impl StaticDocument {
    pub(crate) fn new(content_type: &'static str, body: String) -> Self {
        let etag = format!("\"{}\"", hash(&body));
        Self {
            content_type,
            body: body.into(),
            etag: HeaderValue::try_from(etag).unwrap_or_else(|_| unreachable!("hex digits in quotes")),
        }
    }

    /// Returns the document, or 304 where the client has it already.
    pub(crate) fn response(&self, request: &HeaderMap) -> Response<Bytes> {
        let known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag.as_bytes() == self.etag.as_bytes());
        let (code, body) = if is_known {
            (StatusCode::NOT_MODIFIED, Bytes::new())
        } else {
            (StatusCode::OK, self.body.clone())
        };
        let mut response = answer(code, self.content_type, "no-cache, private", body);
        response.headers_mut().insert(ETAG, self.etag.clone());
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        response
    }
}

/// Returns the SHA-256 of a text in hexadecimal.
pub(crate) fn hash(text: &str) -> String {
    data_encoding::HEXUPPER.encode(digest(&SHA256, text.as_bytes()).as_ref())
}

fn answer(code: StatusCode, content_type: &'static str, cache: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use http::header::IF_NONE_MATCH;
    use http::{HeaderMap, HeaderValue};

    use super::StaticDocument;

    #[test]
    fn who_has_the_document_gets_none() {
        let document = StaticDocument::new("application/json", "{}".to_owned());
        let first = document.response(&HeaderMap::new());
        assert_eq!(first.status(), 200);
        let etag = first.headers()["etag"].to_str().expect("text").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'));
        for known in [etag.clone(), format!("\"x\", {etag}"), format!("W/{etag}")] {
            let headers =
                HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::try_from(known).expect("a value"))]);
            assert_eq!(document.response(&headers).status(), 304);
        }
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"other\""))]);
        let other = document.response(&headers);
        assert_eq!((other.status().as_u16(), other.headers()["vary"].as_bytes()), (200, &b"Accept"[..]));
    }
}
