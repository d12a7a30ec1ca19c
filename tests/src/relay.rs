//! A relay in front of a server, which can keep answers to itself: a process is killed while it waits for one. Or the way
//! to the server is gone, without a word to anyone.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The relay. It ends when dropped.
#[derive(Debug)]
pub struct Relay {
    address: String,
    way: watch::Sender<RelayMode>,
    held: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum RelayMode {
    Open,
    /// Requests with this text get no answer.
    Holding(String),
    /// Every connection ends at once.
    Refused,
    Gone,
}

impl Relay {
    /// A relay to a server at `http://HOST:PORT` or `https://HOST:PORT`.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub async fn start(server: &str) -> Self {
        let (scheme, server) = server.split_once("://").expect("an address with a scheme");
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let way = watch::Sender::new(RelayMode::Open);
        let shared = way.clone();
        let held = Arc::new(AtomicUsize::new(0));
        let holding = Arc::clone(&held);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connection(
                    client,
                    server.clone(),
                    shared.subscribe(),
                    Arc::clone(&holding),
                ));
            }
        });
        Self { address, way, held, task }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From here on, requests with this text in them get no answer, though the server sees them.
    pub fn hold(&self, text: &str) {
        self.way.send_replace(RelayMode::Holding(text.to_owned()));
    }

    /// How many answers it has held back so far.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// From here on, connections are cut, and new ones too: the server is down.
    pub fn refuse(&self) {
        self.way.send_replace(RelayMode::Refused);
    }

    /// From here on, nothing passes, and nobody is told: connections that are open now stay so, dead for good.
    pub fn cut(&self) {
        self.way.send_replace(RelayMode::Gone);
    }

    /// Passes on the answers that were held, and all to come; after [`Self::cut`], of new connections.
    pub fn pass(&self) {
        self.way.send_replace(RelayMode::Open);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(
    client: TcpStream,
    server: String,
    way: watch::Receiver<RelayMode>,
    held: Arc<AtomicUsize>,
) {
    let (mut gone, mut refused) = (way.clone(), way.clone());
    let mut relayed = pin!(async {
        if let Ok(server) = TcpStream::connect(&server).await {
            relay(client, server, way, held).await;
        }
    });
    tokio::select! {
        biased;
        _ = gone.wait_for(|way| matches!(way, RelayMode::Gone)) => {}
        _ = refused.wait_for(|way| matches!(way, RelayMode::Refused)) => return,
        () = &mut relayed => return,
    }
    // it holds the connection, and moves nothing any more
    std::future::pending::<()>().await;
}

async fn relay(
    client: TcpStream,
    server: TcpStream,
    way: watch::Receiver<RelayMode>,
    held: Arc<AtomicUsize>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mute = Arc::new(AtomicBool::new(false));
    let (muted, mut passed) = (Arc::clone(&mute), way.clone());
    let up = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let request = String::from_utf8_lossy(&buffer[..read]);
            if matches!(&*way.borrow(), RelayMode::Holding(text) if request.contains(text)) {
                mute.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        to_server
    };
    let down = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if muted.swap(false, Ordering::SeqCst) {
                held.fetch_add(1, Ordering::SeqCst);
                let _ = passed.wait_for(|way| matches!(way, RelayMode::Open)).await;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    // a client that is gone stays so without the server's knowing: OpenBao stops the request of one, and may have made a user then
    // for whom it has written no lease yet, which nobody can revoke
    tokio::join!(up, down);
}
