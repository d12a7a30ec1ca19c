//! Drivers up to 1.5.6 send the socket's path as `:authority`, which HTTP/2 forbids: they must work
//! all the same.

use anyhow::{Context, bail};
use coffer_proto::v1alpha1::{MountRequest, MountResponse};
use coffer_tests::{FakeVaultSetup, ScriptedAnswer, SimulatedDriver, TestPod};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The first HEADERS block of driver 1.5.6, captured: a Mount whose authority is a path of 24
/// characters.
const DRIVER_1_5: &str = "8386459963b84745738c2bdedd92fd86ee5b35d87ee690b631a0f6d49f41926134d6c46c78610727562bb0f195741c9d7f5f8b1d75d0620d263d4c4d65647a8b9acac8b4c7602bb6e2ecff40027465864d833505b11f";

/// The first HEADERS block of driver 1.6.0, whose authority is `localhost`.
const DRIVER_1_6: &str = "8386459963b84745738c2bdedd92fd86ee5b35d87ee690b631a0f6d49f4186a0e41d139d095f8b1d75d0620d263d4c4d65647a8b9acac8b4c7602bb6e2ecff40027465864d833505b11f";

/// The HEADERS block of later requests: the same fields, as indices into the dynamic table.
const LATER: &str = "8386c2c1c0bfbe";

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

struct Http2Connection(UnixStream);

impl Http2Connection {
    async fn open(setup: &FakeVaultSetup) -> Self {
        let mut stream = UnixStream::connect(setup.csi.socket()).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut connection = Self(stream);
        connection.send(SETTINGS, 0, 0, &[]).await;
        connection
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.write_all(&frame(kind, flags, stream, payload)).await.unwrap();
    }

    /// Makes one gRPC call, and returns the answer's message, or a description of what the server
    /// did instead.
    async fn mount(
        &mut self,
        stream: u32,
        headers: &str,
        request: &MountRequest,
    ) -> anyhow::Result<MountResponse> {
        let block = data_encoding::HEXLOWER.decode(headers.as_bytes()).unwrap();
        self.send(HEADERS, 4, stream, &block).await;
        self.send(0, 1, stream, &grpc_message(request)).await;
        self.answer(stream).await
    }

    async fn answer(&mut self, stream: u32) -> anyhow::Result<MountResponse> {
        let mut message = Vec::new();
        loop {
            let (kind, flags, of, payload) = self.receive().await;
            match kind {
                0 if of == stream => message.extend(payload),
                HEADERS if of == stream && flags & 1 != 0 => {
                    let message = message.get(5..).context("an error instead of a message")?;
                    return Ok(MountResponse::decode(message)?);
                }
                RST_STREAM | GOAWAY => bail!("frame {kind} with {payload:?}"),
                _ => {}
            }
        }
    }

    async fn receive(&mut self) -> (u8, u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn grpc_message(request: &MountRequest) -> Vec<u8> {
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}

async fn setup() -> (FakeVaultSetup, MountRequest) {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let call =
        setup.call(&TestPod::new("shop", "web"), "- {objectName: f, secretPath: kv/app, secretKey: k}");
    (setup, call.driver(SimulatedDriver::V1_5).request())
}

#[tokio::test]
async fn the_captured_bytes_of_both_drivers_mount() {
    let (setup, request) = setup().await;
    for (driver, headers) in [("1.5.6", DRIVER_1_5), ("1.6.0", DRIVER_1_6)] {
        let mut connection = Http2Connection::open(&setup).await;
        for (stream, headers) in [(1, headers), (3, LATER), (5, LATER)] {
            let mounted = connection.mount(stream, headers, &request).await;
            let mounted = mounted.unwrap_or_else(|e| panic!("driver {driver}, stream {stream}: {e}"));
            assert_eq!(mounted.files[0].contents, b"v", "driver {driver}, stream {stream}");
        }
    }
}

#[tokio::test]
async fn the_bytes_may_come_one_by_one_and_in_continuations() {
    let (setup, request) = setup().await;
    let block = data_encoding::HEXLOWER.decode(DRIVER_1_5.as_bytes()).unwrap();
    let mut connection = Http2Connection::open(&setup).await;
    for (stream, split) in [(1, 0), (3, 40)] {
        // A dynamic table is filled once per connection, so the second round needs its own.
        if stream == 3 {
            connection = Http2Connection::open(&setup).await;
        }
        let (first, rest) = block.split_at(if split == 0 { block.len() } else { split });
        let mut bytes = frame(HEADERS, if rest.is_empty() { 4 } else { 0 }, stream, first);
        if !rest.is_empty() {
            bytes.extend(frame(9, 4, stream, rest));
        }
        bytes.extend(frame(0, 1, stream, &grpc_message(&request)));
        for byte in bytes {
            connection.0.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mounted = connection.answer(stream).await.unwrap_or_else(|e| panic!("split at {split}: {e}"));
        assert_eq!(mounted.files[0].contents, b"v");
    }
}

#[tokio::test]
async fn garbage_on_the_socket_affects_no_other_client() {
    let (setup, _) = setup().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\0\xff\xff\xff\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x01",
    ] {
        let mut stream = UnixStream::connect(setup.csi.socket()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.write_all(&[0x41; 4096]).await.unwrap_or_default();
        drop(stream);
        setup.csi.version().await.expect("the process is still running");
    }
    for n in 0..256u32 {
        // A HEADERS block of pseudo-random bytes on a fresh connection.
        let mut connection = Http2Connection::open(&setup).await;
        let (first, ..) = connection.receive().await;
        assert_eq!(first, SETTINGS, "the server serves this connection");
        let block: Vec<u8> =
            (0..64u32).map(|i| (n.wrapping_mul(2_654_435_761) >> (i % 24)) as u8 ^ i as u8).collect();
        let _ = connection.0.write_all(&frame(HEADERS, 4, 1, &block)).await;
    }
    setup.csi.version().await.expect("the process is still running");
}
