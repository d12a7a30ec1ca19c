//! A relay in front of a server, which can keep answers to itself: a process is killed while it waits for one.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The relay. It ends when dropped.
#[derive(Debug)]
pub struct Relay {
    address: String,
    held: Arc<Mutex<Option<String>>>,
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
        let held: Arc<Mutex<Option<String>>> = Arc::default();
        let shared = Arc::clone(&held);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    connections.spawn(relay(client, server, Arc::clone(&shared)));
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
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    /// Answers are passed on again.
    pub fn pass(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(client: TcpStream, server: TcpStream, held: Arc<Mutex<Option<String>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mute = Arc::new(Mutex::new(false));
    let muted = Arc::clone(&mute);
    let up = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let request = String::from_utf8_lossy(&buffer[..read]);
            let held = held.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if held.is_some_and(|text| request.contains(&text)) {
                *mute.lock().unwrap_or_else(PoisonError::into_inner) = true;
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let is_muted = *muted.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_muted && to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(up, down);
}
