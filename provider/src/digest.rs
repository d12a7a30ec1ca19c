//! SHA-256, for what has to be told apart and is not kept itself.

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// A digest.
pub(crate) type Digest = [u8; SHA256_OUTPUT_LEN];

/// The digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finish(context)
}

/// The digest of parts, where it counts which byte is of which.
pub(crate) fn digest_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    finish(context)
}

fn finish(context: Context) -> Digest {
    let mut digest = [0; SHA256_OUTPUT_LEN];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
