//! The client against small servers on loopback.

#![allow(clippy::unwrap_used)]

mod common;

use std::io;

use bytes::Bytes;
use coffer_connect::{ConnectFailure, HttpFailure, Sent};
use http::Version;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use common::{client, get, listen, tls};

async fn body(sent: Sent) -> Bytes {
    sent.response.into_body().collect().await.unwrap().to_bytes()
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service =
        service_fn(|_| async { Ok::<_, io::Error>(hyper::Response::new(Full::new(Bytes::from("hello")))) });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

#[tokio::test]
async fn the_server_name_is_that_of_the_settings_over_http2() {
    let (acceptor, settings) = tls(Some("vault.internal"));
    let address = listen(move |_, stream| {
        let acceptor = acceptor.clone();
        async move { serve(acceptor.accept(stream).await.unwrap()).await }
    })
    .await;
    let sent = get(&client(Some(settings)), &format!("https://{address}/")).await.unwrap();
    assert_eq!(sent.response.version(), Version::HTTP_2);
    assert_eq!(body(sent).await, "hello");
}

#[tokio::test]
async fn each_cause_of_no_connection_has_its_type() {
    let (acceptor, settings) = tls(None);
    let address = listen(move |_, stream| {
        let acceptor = acceptor.clone();
        async move { drop(acceptor.accept(stream).await) }
    })
    .await;
    let client = client(Some(settings));
    let failure = async |url: &str| match get(&client, url).await.unwrap_err() {
        HttpFailure::Unreachable(failure) => failure,
        other => panic!("{url}: {other:?}"),
    };
    let lookup = failure("http://name.invalid/").await;
    assert!(
        matches!(&*lookup, ConnectFailure::Lookup(lookup) if lookup.host == "name.invalid"),
        "{lookup:?}"
    );
    let refused = failure("http://127.0.0.1:1/").await;
    let is_refused = |refused: &ConnectFailure| matches!(refused, ConnectFailure::Tcp(tcp) if tcp.source.kind() == io::ErrorKind::ConnectionRefused);
    assert!(is_refused(&refused), "{refused:?}");
    let name = failure(&format!("https://{address}/")).await;
    assert!(matches!(&*name, ConnectFailure::Tls(_)), "{name:?}");
}

#[tokio::test]
async fn a_kept_connection_that_closes_at_the_next_request_is_told() {
    let address = listen(|number, mut stream| async move {
        let mut buffer = [0; 4096];
        if number > 0 {
            return serve(stream).await;
        }
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
    })
    .await;
    let (client, url) = (client(None), format!("http://{address}/"));
    assert_eq!(body(get(&client, &url).await.unwrap()).await, "hello");
    let failure = get(&client, &url).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::Broken { is_kept: true, .. }), "{failure:?}");
    assert_eq!(body(get(&client, &url).await.unwrap()).await, "hello");
}

#[tokio::test]
async fn a_connection_that_closes_at_its_first_request_is_told() {
    let address = listen(|_, mut stream| async move {
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
    })
    .await;
    let failure = get(&client(None), &format!("http://{address}/")).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::Broken { is_kept: false, .. }), "{failure:?}");
}

#[tokio::test]
async fn a_kept_connection_that_goes_dark_is_left() {
    let address = listen(|number, mut stream| async move {
        let mut buffer = [0; 4096];
        if number > 0 {
            return serve(stream).await;
        }
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let (client, url) = (client(None), format!("http://{address}/"));
    assert_eq!(body(get(&client, &url).await.unwrap()).await, "hello");
    let failure = get(&client, &url).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::TimedOut { is_kept: true }), "{failure:?}");
    assert_eq!(body(get(&client, &url).await.unwrap()).await, "hello");
}
