//! Health and metrics over HTTP, for whoever reaches the port: with few connections, little of each
//! and for a short time.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_process::{LobbyListener, LobbyPlace, LobbySettings, Phase};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::node_health::NodeHealth;

/// Connections at once, at most. With what the system buffers they take 32 * (8 + 2 * 16 + 2 * 64)
/// KiB = 5 MiB at the very most, and one text of the metrics each where nobody reads it.
const LIMITS: LobbySettings = LobbySettings { places: 32, receive_buffer: 16 << 10, send_buffer: 64 << 10 };

/// Bytes of a request's line and headers, at most: the least that hyper takes.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// Time limit of a connection: for its one request and for the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Times that the metrics are written in one second, at most. Further requests get the last text.
const MAX_SCRAPES: u32 = 20;

const TEXT_TYPE: &str = "text/plain; charset=utf-8";
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is served.
struct HealthPages {
    registry: Registry,
    phase: watch::Receiver<Phase>,
    node: NodeHealth,
    scrapes: Mutex<Scrapes>,
}

/// The metrics as text, written anew for each request of a second up to [`MAX_SCRAPES`].
struct Scrapes {
    second: Instant,
    written: u32,
    text: Bytes,
}

/// Serves `/health/live`, `/health/ready` and `/metrics` until the future is dropped.
///
/// Alive means that the driver can find the agent, or that a restart would not change it. Ready
/// means that the socket is bound, the files on the node are as they should be, and the agent does
/// not drain. Vault plays no part: manifests made for HashiCorp's provider use this probe for
/// liveness too, and a restart of the agent does not repair Vault.
pub(crate) async fn serve(
    listener: TcpListener,
    registry: Registry,
    phase: watch::Receiver<Phase>,
    node: NodeHealth,
) {
    let scrapes = Mutex::new(Scrapes { second: Instant::now(), written: 0, text: Bytes::new() });
    let pages = Arc::new(HealthPages { registry, phase, node, scrapes });
    let mut listener = LobbyListener::new(listener, LIMITS);
    loop {
        let (stream, place) = listener.accept().await;
        let pages = Arc::clone(&pages);
        tokio::spawn(async move {
            tokio::select! {
                () = place.evicted() => {}
                _ = timeout(CONNECTION_TIMEOUT, connection(stream, &place, &pages)) => {}
            }
        });
    }
}

/// Answers one request, and closes the connection.
async fn connection(stream: TcpStream, place: &LobbyPlace, pages: &HealthPages) -> Result<(), hyper::Error> {
    let service = service_fn(async |request: Request<hyper::body::Incoming>| {
        let _answering = place.answering();
        Ok::<_, Infallible>(pages.answer(request.method(), request.uri().path()))
    });
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

impl HealthPages {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match path {
            "/health/live" | "/health/ready" | "/metrics" if !is_read => {
                page(StatusCode::METHOD_NOT_ALLOWED, TEXT_TYPE, Bytes::new())
            }
            "/health/live" => self.live(),
            "/health/ready" => self.ready(),
            "/metrics" => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, ""),
        }
    }

    fn live(&self) -> Response<Full<Bytes>> {
        match self.node.not_alive() {
            Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            None => text(StatusCode::OK, "alive\n"),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match *self.phase.borrow() {
            Phase::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Phase::Serving => match self.node.not_ready() {
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
                None => text(StatusCode::OK, "ready\n"),
            },
            Phase::Draining | Phase::Ending => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut scrapes = self.scrapes.lock().unwrap_or_else(PoisonError::into_inner);
        match scrapes.text(&self.registry, Instant::now()) {
            Ok(text) => page(StatusCode::OK, METRICS_TYPE, text),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }
}

impl Scrapes {
    fn text(&mut self, registry: &Registry, now: Instant) -> Result<Bytes, std::fmt::Error> {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.written) = (now, 0);
        }
        if self.written < MAX_SCRAPES {
            self.written += 1;
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry)?;
            self.text = text.into();
        }
        Ok(self.text.clone())
    }
}

fn text(code: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    page(code, TEXT_TYPE, text.into())
}

fn page(code: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::registry::Registry;

    use super::{MAX_SCRAPES, Scrapes};

    #[test]
    fn the_metrics_are_written_for_each_request_but_not_for_thousands() {
        let (mut registry, counter) = (Registry::default(), Counter::<u64>::default());
        registry.register("requests", "Requests", counter.clone());
        let now = Instant::now();
        let mut scrapes = Scrapes { second: now, written: 0, text: Bytes::new() };
        let mut value = |now| {
            counter.inc();
            let text = scrapes.text(&registry, now).expect("a text");
            let line =
                std::str::from_utf8(&text).expect("text").lines().find(|line| line.starts_with("requests"));
            line.and_then(|line| line.rsplit_once(' ')?.1.parse::<u32>().ok()).expect("a number")
        };
        for n in 1..=MAX_SCRAPES {
            assert_eq!(value(now), n);
        }
        assert_eq!(value(now + Duration::from_millis(999)), MAX_SCRAPES);
        assert_eq!(value(now + Duration::from_secs(1)), MAX_SCRAPES + 2);
    }
}
