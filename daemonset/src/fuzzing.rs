//! The fuzz targets of the node agent. They are compiled for `cargo fuzz` alone.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use coffer_proto::v1alpha1::{MountRequest, ObjectVersion};
use coffer_provider::Secret;
use tokio::io::{AsyncRead, ReadBuf};

use crate::authority_filter::AuthorityFilter;
use crate::driver_request::parse;
use crate::state_dir::{header, record_of};

/// The texts of a mount request.
#[derive(Debug, Clone, Copy)]
pub struct MountTexts<'a> {
    /// `attributes`.
    pub attributes: &'a str,
    /// `secrets`.
    pub secrets: &'a str,
    /// `permission`.
    pub permission: &'a str,
    /// The target path.
    pub volume: &'a str,
    /// The version of each file.
    pub version: &'a str,
}

/// Parses a mount request, in whose texts each U+FFFD becomes the planted secret.
///
/// # Panics
/// If an error repeats what was sent, or a token is left in the parameters.
pub fn driver_request(texts: MountTexts<'_>, planted: &str) {
    let plant = |text: &str| text.replace('\u{fffd}', planted);
    let versions = texts.version.split(',').filter(|version| !version.is_empty());
    let request = MountRequest {
        attributes: plant(texts.attributes),
        secrets: plant(texts.secrets),
        permission: plant(texts.permission),
        target_path: texts.volume.to_owned(),
        current_object_version: versions
            .map(|version| ObjectVersion { id: "a".to_owned(), version: version.to_owned() })
            .collect(),
    };
    let length = request.attributes.len() + request.secrets.len() + request.target_path.len();
    match parse(request) {
        Ok(request) => {
            assert!(request.bytes() <= length, "what is parsed is longer than what was sent");
            assert!(request.default_mode <= 0o777);
            assert!(!request.parameters.contains_key("csi.storage.k8s.io/serviceAccount.tokens"));
            assert!(request.identity.pod.is_some_and(|pod| !pod.name.is_empty() && !pod.uid.is_empty()));
            let tokens = format!("{:?}", request.tokens.values());
            assert!(!tokens.contains(planted));
        }
        Err(error) => {
            let said = format!("{error} {error:?}");
            assert!(!said.contains(planted), "{said}");
        }
    }
}

/// Returns what the filter makes of a connection, which arrives in pieces of these lengths and is
/// read with a buffer of `at_once` bytes.
///
/// # Panics
/// If the filter waits for something that has arrived.
#[must_use]
pub fn filtered(sent: &[u8], pieces: &[u8], at_once: usize) -> Vec<u8> {
    let mut filter = AuthorityFilter::new(Pieces { sent, pieces, is_waiting: false });
    let mut context = Context::from_waker(Waker::noop());
    let (mut all, mut buffer) = (Vec::with_capacity(sent.len()), vec![0; at_once.max(1)]);
    let mut polls = 0;
    loop {
        polls += 1;
        assert!(polls <= 4 * sent.len() + 2 * pieces.len() + 64, "the filter does not go on");
        let mut filled = ReadBuf::new(&mut buffer);
        match Pin::new(&mut filter).poll_read(&mut context, &mut filled) {
            Poll::Pending => {}
            Poll::Ready(read) => {
                assert!(read.is_ok());
                if filled.filled().is_empty() {
                    return all;
                }
                all.extend_from_slice(filled.filled());
            }
        }
    }
}

/// Gives one piece a read; after each it is not ready once.
struct Pieces<'a> {
    sent: &'a [u8],
    pieces: &'a [u8],
    is_waiting: bool,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.is_waiting {
            self.is_waiting = false;
            return Poll::Pending;
        }
        let length = match self.pieces.split_first() {
            Some((length, rest)) => {
                self.pieces = rest;
                usize::from(*length).max(1)
            }
            None => self.sent.len(),
        };
        let (piece, rest) = self.sent.split_at(length.min(self.sent.len()).min(buf.remaining()));
        buf.put_slice(piece);
        self.sent = rest;
        self.is_waiting = !self.pieces.is_empty();
        Poll::Ready(Ok(()))
    }
}

/// Reads a file of the state directory.
///
/// # Panics
/// If a record is not what was stored, or an error repeats it.
#[must_use]
pub fn state_file(file: &[u8], planted: &str) -> Option<Vec<u8>> {
    let read = record_of(&Secret::new(file));
    let written = [header(file).as_bytes(), file].concat();
    let again = record_of(&Secret::new(written));
    assert!(again.is_ok_and(|record| record.expose() == file));
    match read {
        Ok(record) => Some(record.into_bytes()),
        Err(damage) => {
            let said = format!("{damage} {damage:?}");
            assert!(!said.contains(planted), "{said}");
            None
        }
    }
}
