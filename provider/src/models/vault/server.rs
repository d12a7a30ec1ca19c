//! HTTP/1.1 at a unix socket, one request after another on a connection.

use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

use super::ModelVault;
use super::handler::{HttpCall, Reply, When};

pub(super) fn start(socket: &Path, vault: ModelVault) {
    let listener = UnixListener::bind(socket).expect("a socket");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let agent = vault.lock().agent;
            tokio::spawn(serve(BufReader::new(stream), vault.clone(), agent));
        }
    });
}

async fn serve(mut stream: BufReader<UnixStream>, vault: ModelVault, agent: u64) {
    while let Some(call) = next_call(&mut stream).await {
        let reply = {
            let mut state = vault.lock();
            if state.is_cut || state.agent != agent {
                return;
            }
            state.handle(&call)
        };
        let wait = match reply.when {
            When::After(wait) => Some(wait),
            When::Closed => return,
            When::Never => None,
        };
        let answered = async {
            match wait {
                Some(wait) if wait.is_zero() => {}
                Some(wait) => sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        // a client sends nothing before it has its answer: what is read is the end
        tokio::select! {
            biased;
            _ = stream.fill_buf(), if wait.is_none_or(|wait| !wait.is_zero()) => return,
            () = answered => {}
        }
        if vault.lock().agent != agent || !answer(&mut stream, &reply).await {
            return;
        }
        vault.lock().note_answered(&reply);
    }
}

/// Reads a request; none at the end of the connection.
async fn next_call(stream: &mut BufReader<UnixStream>) -> Option<HttpCall> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let path = words.nth(1)?.trim_start_matches("/v1/").to_owned();
    let (mut length, mut token) = (0, None);
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            "x-vault-token" => token = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(HttpCall { path, token, body })
}

/// Writes an answer. Returns whether it was written.
async fn answer(stream: &mut BufReader<UnixStream>, reply: &Reply) -> bool {
    let Reply { status, body, .. } = reply;
    let text = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.is_ok()
}
