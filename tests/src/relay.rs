//! A relay in front of a server, which can keep answers to itself: a process is killed while it waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The relay. It ends when dropped.
#[derive(Debug)]
pub struct Relay {
    address: String,
    held: watch::Sender<Option<String>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay to a server at `http://HOST:PORT`.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub async fn start(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let held = watch::Sender::new(None);
        let shared = held.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    connections.spawn(relay(client, server, shared.subscribe()));
                }
            }
        });
        Self { address, held, task }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From here on, requests with this text in them get no answer, though the server sees them.
    pub fn hold(&self, text: &str) {
        self.held.send_replace(Some(text.to_owned()));
    }

    /// Passes on the answers that were held, and all to come.
    pub fn pass(&self) {
        self.held.send_replace(None);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(client: TcpStream, server: TcpStream, held: watch::Receiver<Option<String>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mute = Arc::new(AtomicBool::new(false));
    let (muted, mut passed) = (Arc::clone(&mute), held.clone());
    let up = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let request = String::from_utf8_lossy(&buffer[..read]);
            if held.borrow().as_ref().is_some_and(|text| request.contains(text)) {
                mute.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if muted.swap(false, Ordering::SeqCst) {
                let _ = passed.wait_for(Option::is_none).await;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(up, down);
}
