//! A TCP relay in front of a server. The relay can hold answers back, so that a test kills a
//! process that waits for one, pass everything on later, drop all traffic without closing
//! connections, or close a connection at the next request.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// A running relay. Dropping the value ends the relay.
#[derive(Debug)]
pub struct Relay {
    address: String,
    way: watch::Sender<RelayMode>,
    held: Arc<AtomicUsize>,
    counts: Arc<RelayCounts>,
    task: JoinHandle<()>,
}

/// What happened at a relay.
#[derive(Debug, Default)]
struct RelayCounts {
    accepted: AtomicUsize,
    /// Connections up to this number are dead.
    dark_up_to: watch::Sender<usize>,
    /// Connections up to this number are closed as soon as the client sends something; those that
    /// are accepted later are not.
    closed_up_to: AtomicUsize,
    with_reset: AtomicBool,
    closed: AtomicUsize,
}

/// How a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayClose {
    /// As by a server that ends.
    Fin,
    /// As by a balancer that forgot the connection.
    Reset,
}

#[derive(Debug)]
enum RelayMode {
    Open,
    /// Holds back answers to requests that contain this text.
    Holding(String),
    /// Passes everything on that much later.
    Slow(Duration),
    /// Closes every connection at once.
    Refused,
    Gone,
}

impl Relay {
    /// Starts a relay to a server at `http://HOST:PORT` or `https://HOST:PORT`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(server: &str) -> Self {
        let (scheme, server) = server.split_once("://").expect("an address with a scheme");
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let way = watch::Sender::new(RelayMode::Open);
        let shared = way.clone();
        let held = Arc::new(AtomicUsize::new(0));
        let holding = Arc::clone(&held);
        let counts = Arc::new(RelayCounts::default());
        let counting = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let number = counting.accepted.fetch_add(1, Ordering::SeqCst) + 1;
                let closing = Closing { number, counts: Arc::clone(&counting) };
                connections.spawn(connection(
                    client,
                    server.clone(),
                    shared.subscribe(),
                    Arc::clone(&holding),
                    closing,
                ));
            }
        });
        Self { address, way, held, counts, task }
    }

    /// Returns the relay's address with the server's scheme.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Holds back the answers to requests that contain `text`, from now on. The server still gets
    /// the requests.
    pub fn hold(&self, text: &str) {
        self.way.send_replace(RelayMode::Holding(text.to_owned()));
    }

    /// Returns the number of answers held back so far.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// Drops all traffic of the connections that are open now, and leaves them open. Later
    /// connections are not concerned.
    pub fn go_dark(&self) {
        self.counts.dark_up_to.send_replace(self.connections());
    }

    /// Closes each connection that is open now as soon as the client sends something, which does not
    /// reach the server. Later connections are not closed.
    pub fn close_at_next_request(&self, how: RelayClose) {
        self.counts.with_reset.store(how == RelayClose::Reset, Ordering::SeqCst);
        self.counts.closed_up_to.store(self.connections(), Ordering::SeqCst);
    }

    /// Returns the number of connections that were [closed](Self::close_at_next_request) so far.
    pub fn closed(&self) -> usize {
        self.counts.closed.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that were accepted so far.
    pub fn connections(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Passes everything on that much later, in both directions, from now on.
    pub fn slow(&self, delay: Duration) {
        self.way.send_replace(RelayMode::Slow(delay));
    }

    /// Closes all connections, and new ones as well, as if the server were down.
    pub fn refuse(&self) {
        self.way.send_replace(RelayMode::Refused);
    }

    /// Drops all traffic from now on. Open connections stay open, but dead for good.
    pub fn cut(&self) {
        self.way.send_replace(RelayMode::Gone);
    }

    /// Forwards the held answers and all later ones; after [`Self::cut`], only those of new
    /// connections.
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
    closing: Closing,
) {
    let (mut gone, mut refused) = (way.clone(), way.clone());
    let (number, mut dark) = (closing.number, closing.counts.dark_up_to.subscribe());
    let mut relayed = pin!(async {
        if let Ok(server) = TcpStream::connect(&server).await {
            relay(client, server, way, held, closing).await;
        }
    });
    tokio::select! {
        biased;
        _ = gone.wait_for(|way| matches!(way, RelayMode::Gone)) => {}
        _ = dark.wait_for(|up_to| number <= *up_to) => {}
        _ = refused.wait_for(|way| matches!(way, RelayMode::Refused)) => return,
        () = &mut relayed => return,
    }
    // keeps the connection open and forwards nothing
    std::future::pending::<()>().await;
}

async fn relay(
    client: TcpStream,
    server: TcpStream,
    way: watch::Receiver<RelayMode>,
    held: Arc<AtomicUsize>,
    closing: Closing,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mute = Arc::new(AtomicBool::new(false));
    let (muted, mut passed) = (Arc::clone(&mute), way.clone());
    let slow = way.clone();
    let (close, closed) = oneshot::channel();
    let up = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            if closing.is_due() {
                closing.prepare(from_client.as_ref());
                let _ = close.send(from_client);
                return to_server;
            }
            let request = String::from_utf8_lossy(&buffer[..read]);
            if matches!(&*way.borrow(), RelayMode::Holding(text) if request.contains(text)) {
                mute.store(true, Ordering::SeqCst);
            }
            delayed(&way).await;
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
            delayed(&slow).await;
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    // The server must not see that a client is gone: OpenBao would abort that client's request, and
    // might have created a user by then without a lease, which nobody can revoke.
    tokio::select! {
        biased;
        Ok(_from_client) = closed => {}
        _ = async { tokio::join!(up, down) } => {}
    }
}

/// Waits as long as a [slow](Relay::slow) relay does.
async fn delayed(way: &watch::Receiver<RelayMode>) {
    let delay = match &*way.borrow() {
        RelayMode::Slow(delay) => *delay,
        _ => return,
    };
    sleep(delay).await;
}

/// Whether a connection is to be closed.
struct Closing {
    /// The number of the connection.
    number: usize,
    counts: Arc<RelayCounts>,
}

impl Closing {
    fn is_due(&self) -> bool {
        self.number <= self.counts.closed_up_to.load(Ordering::SeqCst)
    }

    /// Counts the connection, and sets how it is closed when it is dropped.
    fn prepare(&self, client: &TcpStream) {
        self.counts.closed.fetch_add(1, Ordering::SeqCst);
        if self.counts.with_reset.load(Ordering::SeqCst) {
            client.set_zero_linger().expect("an option of the socket");
        }
    }
}
