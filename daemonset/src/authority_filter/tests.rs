//! The filter on bytes that real drivers sent, split in every way, and in front of a real server.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use coffer_proto::v1alpha1::csi_driver_provider_server::{CsiDriverProvider, CsiDriverProviderServer};
use coffer_proto::v1alpha1::{MountRequest, MountResponse, VersionRequest, VersionResponse};
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

use super::AuthorityFilter;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// The beginning of a Mount call by drivers 1.5.6 and 1.6.0: before, in and after the authority.
const BEFORE: &str = "8386459963b84745738c2bdedd92fd86ee5b35d87ee690b631a0f6d49f";
const PATH: &str = "41926134d6c46c78610727562bb0f195741c9d7f";
const LOCALHOST: &str = "4186a0e41d139d09";
const AFTER: &str = "5f8b1d75d0620d263d4c4d65647a8b9acac8b4c7602bb6e2ecff40027465864d833505b11f";
/// The path with dashes, as h2 encodes it.
const DASHED: &str = "41925934d6b46b7859072755abb0f195741c9d7f";

/// Returns the bytes of the hexadecimal digits in a text.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits")).collect()
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let stream = u8::from(kind != 4);
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

fn block(authority: &str) -> Vec<u8> {
    hex(&[BEFORE, authority, AFTER].concat())
}

/// Returns a call with an empty message, whose header block is in the given frames.
fn call(headers: &[u8]) -> Vec<u8> {
    [PREFACE, &SETTINGS, headers, &frame(0, 1, &[0; 5])].concat()
}

/// Returns the filter's output for these pieces, read with a buffer of `at_once` bytes.
async fn filtered(pieces: &[&[u8]], at_once: usize) -> Vec<u8> {
    let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
    let mut filter = AuthorityFilter::new(Pieces(pieces));
    let mut all = Vec::new();
    let mut buffer = vec![0; at_once];
    loop {
        match filter.read(&mut buffer).await.expect("pieces never fail") {
            0 => return all,
            read => all.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Gives one piece a read, and is not ready between them.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.0.pop_front() else {
            return Poll::Ready(Ok(()));
        };
        if piece.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let rest = piece.split_off(piece.len().min(buf.remaining()));
        buf.put_slice(&piece);
        self.0.push_front(rest);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_path_is_changed_however_it_is_cut() {
    let sent = call(&frame(1, 4, &block(PATH)));
    let expected = call(&frame(1, 4, &block(DASHED)));
    for at in 0..=sent.len() {
        let (first, second) = sent.split_at(at);
        assert_eq!(filtered(&[first, second], 4096).await, expected, "cut at {at}");
        assert_eq!(filtered(&[first, second], 1).await, expected, "cut at {at}");
    }
    let bytes: Vec<&[u8]> = sent.chunks(1).collect();
    assert_eq!(filtered(&bytes, 4096).await, expected);
}

#[tokio::test]
async fn a_legal_authority_stays_and_ends_the_filter() {
    let legal = call(&frame(1, 4, &block(LOCALHOST)));
    // Nobody changes to a path later on; if it stays, the filter has gone.
    let sent = [legal, frame(1, 4, &block(PATH))].concat();
    for at in 0..=sent.len() {
        let (first, second) = sent.split_at(at);
        assert_eq!(filtered(&[first, second], 4096).await, sent, "cut at {at}");
    }
}

#[tokio::test]
async fn a_changed_connection_is_watched_to_its_end() {
    let blocks = [PATH, LOCALHOST, PATH].map(|authority| frame(1, 4, &block(authority)));
    let changed = [DASHED, LOCALHOST, DASHED].map(|authority| frame(1, 4, &block(authority)));
    assert_eq!(filtered(&[&call(&blocks.concat())], 4096).await, call(&changed.concat()));
}

#[tokio::test]
async fn padding_priority_and_continuations_are_seen_through() {
    let frames = |authority: &str| {
        let block = block(authority);
        let padded = |part: &[u8]| [&[3, 0, 0, 0, 0, 16], part, &[0x41, 1, b'/']].concat();
        let one = frame(1, 4 | 0x8 | 0x20, &padded(&block));
        // Cut within the authority, and within a symbol of it.
        let three = [
            frame(1, 0x8 | 0x20, &padded(&block[..33])),
            frame(9, 0, &block[33..34]),
            frame(9, 4, &block[34..]),
        ];
        [one, three.concat()].concat()
    };
    assert_eq!(filtered(&[&call(&frames(PATH))], 4096).await, call(&frames(DASHED)));
}

#[tokio::test]
async fn a_block_too_long_to_hold_goes_by() {
    let long = [hex("40017a7f817f"), vec![b'z'; 16 * 1024], block(PATH)].concat();
    let sent = call(&[frame(1, 0, &long[..16_000]), frame(9, 4, &long[16_000..])].concat());
    assert_eq!(filtered(&[&sent], 4096).await, sent);
}

#[tokio::test]
async fn what_is_no_http2_goes_by() {
    let mut random = Random(0x5eed);
    for round in 0..4_000 {
        let mut noise: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
        let innocent = round % 2 == 0;
        if innocent {
            noise.retain(|byte| ![0x41, 0x01, 0x11].contains(byte));
        }
        let sent = match random.below(3) {
            0 => [PREFACE, &noise].concat(),
            1 => [PREFACE, &frame(random.byte() % 10, random.byte(), &noise)].concat(),
            _ => call(&frame(1, 4, &noise)),
        };
        let cut = random.below(sent.len() + 1);
        let out = filtered(&[&sent[..cut], &sent[cut..]], 1 + random.below(64)).await;
        assert_eq!(out.len(), sent.len());
        assert!(!innocent || out == sent, "{sent:x?}");
    }
}

/// Marsaglia's xorshift: the same random bytes in every run.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % limit
    }
}

#[tokio::test]
async fn a_server_resets_a_path_but_serves_it_filtered() {
    const RST_STREAM: u8 = 3;
    const HEADERS: u8 = 1;
    let path = call(&frame(1, 4, &block(PATH)));
    let localhost = call(&frame(1, 4, &block(LOCALHOST)));

    let (kind, payload) = answer(|stream| stream, &path).await;
    assert_eq!((kind, payload), (RST_STREAM, vec![0, 0, 0, 1]), "PROTOCOL_ERROR");
    for sent in [path, localhost] {
        let (kind, payload) = answer(AuthorityFilter::new, &sent).await;
        assert_eq!(kind, HEADERS);
        // `grpc-status: 9`, the answer of the provider below
        let status = hex("40889acac8b21234da8f817f");
        assert!(payload.windows(status.len()).any(|field| field == status), "{payload:x?}");
    }
}

/// Returns kind and payload of the first frame that a server with this wrapper sends on the first
/// stream.
async fn answer<T>(wrap: impl FnOnce(DuplexStream) -> T, sent: &[u8]) -> (u8, Vec<u8>)
where
    T: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let (mut client, server) = duplex(64 * 1024);
    let incoming = stream::iter([Ok::<_, Infallible>(wrap(server))]);
    let service = CsiDriverProviderServer::new(RefusingProvider);
    Server::builder().serve_with_incoming(service, incoming).await.expect("the connection is taken");
    client.write_all(sent).await.expect("the server reads");
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.expect("an answer");
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        client.read_exact(&mut payload).await.expect("a whole frame");
        if head[8] == 1 {
            return (head[3], payload);
        }
    }
}

/// A provider that answers every call with an error.
pub(crate) struct RefusingProvider;

#[tonic::async_trait]
impl CsiDriverProvider for RefusingProvider {
    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn mount(&self, _: Request<MountRequest>) -> Result<Response<MountResponse>, Status> {
        Err(Status::failed_precondition("no class"))
    }
}
