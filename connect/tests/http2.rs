//! The client against an HTTP/2 server that misbehaves frame by frame.

#![allow(clippy::unwrap_used)]

mod common;

use coffer_connect::HttpFailure;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use common::{client, get, listen, tls};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// A connection of HTTP/2, frame by frame.
struct Frames<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Begins a connection.
    async fn begin(mut stream: S) -> Self {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Self(stream);
        frames.write(SETTINGS, 0, 0, &[]).await;
        frames
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[&head, payload].concat()).await.unwrap();
    }

    /// Waits for the next request, and returns its stream. PINGs are answered.
    async fn request(&mut self) -> u32 {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.unwrap();
            match (head[3], head[4]) {
                (HEADERS, _) => return u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                (PING, 0) => self.write(PING, 1, 0, &payload).await,
                _ => {}
            }
        }
    }

    /// Answers a request with 200 and no body.
    async fn answer(&mut self, stream: u32) {
        self.write(HEADERS, 0b101, stream, &[0x88]).await;
    }

    /// Takes what arrives, and answers nothing.
    async fn go_dark(mut self) {
        let mut buffer = [0; 4096];
        while self.0.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    }
}

/// What a server does with the second request of its first connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    Refuse,
    LeaveOut,
    Reset,
    Close,
    GoDark,
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, second: Second, is_first: bool) {
    let mut frames = Frames::begin(stream).await;
    let stream = frames.request().await;
    frames.answer(stream).await;
    let stream = frames.request().await;
    if !is_first {
        return frames.answer(stream).await;
    }
    match second {
        Second::Refuse => frames.write(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await,
        Second::LeaveOut => frames.write(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).await,
        Second::Reset => frames.write(RST_STREAM, 0, stream, &2_u32.to_be_bytes()).await,
        Second::Close => return,
        Second::GoDark => {}
    }
    frames.go_dark().await;
}

/// Returns the failure of the second request. The third one goes over another connection.
async fn second_request(second: Second) -> HttpFailure {
    let (acceptor, settings) = tls(Some("vault.internal"));
    let address = listen(move |number, stream| {
        let acceptor = acceptor.clone();
        async move { serve(acceptor.accept(stream).await.unwrap(), second, number == 0).await }
    })
    .await;
    let (client, url) = (client(Some(settings)), format!("https://{address}/"));
    get(&client, &url).await.unwrap();
    let failure = get(&client, &url).await.unwrap_err();
    for _ in 0..2 {
        get(&client, &url).await.unwrap_or_else(|failure| panic!("{second:?}: {failure:?}"));
    }
    failure
}

#[tokio::test]
async fn what_the_server_did_not_begin_is_told() {
    for second in [Second::Refuse, Second::LeaveOut] {
        let failure = second_request(second).await;
        assert!(matches!(failure, HttpFailure::NotProcessed(_)), "{second:?}: {failure:?}");
        assert!(failure.is_dead_connection());
    }
}

#[tokio::test]
async fn what_the_server_may_have_begun_is_told() {
    for second in [Second::Reset, Second::Close, Second::GoDark] {
        let failure = second_request(second).await;
        assert!(matches!(failure, HttpFailure::Broken { is_kept: true, .. }), "{second:?}: {failure:?}");
    }
}
