//! PEM files as Go reads them: text around the blocks is skipped, and a block that cannot be read
//! does not spoil the others.

use std::fmt;

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// A block of a PEM file.
pub(super) struct PemBlock<'a> {
    /// Its number in the file, from 1.
    pub(super) number: usize,
    /// The text between `BEGIN` and the dashes.
    pub(super) label: &'a str,
    /// Whether it has headers, such as `Proc-Type`.
    pub(super) has_headers: bool,
    /// Whether a header says that it is encrypted.
    pub(super) is_encrypted: bool,
    /// The bytes in it.
    pub(super) der: Result<Zeroizing<Vec<u8>>, PemProblem>,
}

/// Why a PEM block has no readable bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemProblem {
    /// There is no line with `END`, or one for another label.
    #[error("it has no END line of its own")]
    NoEnd,
    /// The text is not base64.
    #[error("its text is not base64")]
    NotBase64,
}

/// What a file is that has no PEM block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPem {
    /// It is empty.
    Empty,
    /// It is text without blocks.
    Text,
    /// It is text in UTF-16.
    Utf16,
    /// It is a certificate or a key in DER.
    Der,
    /// It is binary.
    Binary,
}

impl fmt::Display for NoPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Text => "it has no line that begins with -----BEGIN",
            Self::Utf16 => "it is text in UTF-16: save it as UTF-8",
            Self::Der => "it is DER: convert it to PEM (openssl x509 -inform der, openssl pkey -inform der)",
            Self::Binary => "it is binary, such as PKCS #12: convert it to PEM (openssl pkcs12)",
        })
    }
}

/// Returns the blocks of a file, good and bad, in order.
pub(super) fn blocks(file: &[u8]) -> Vec<PemBlock<'_>> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut blocks = Vec::new();
    let mut open: Option<OpenBlock<'_>> = None;
    for line in file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if let Some(label) = delimiter(line, b"-----BEGIN ") {
            let unfinished = open.replace(OpenBlock::new(blocks.len() + 1, label));
            if let Some(unfinished) = unfinished {
                blocks.push(unfinished.close(None));
                open = Some(OpenBlock::new(blocks.len() + 1, label));
            }
        } else if let Some(label) = delimiter(line, b"-----END ") {
            if let Some(block) = open.take() {
                blocks.push(block.close(Some(label)));
            }
        } else if let Some(block) = &mut open {
            block.line(line);
        }
    }
    blocks.extend(open.map(|block| block.close(None)));
    blocks
}

/// Returns what a file is that has no blocks.
pub(super) fn without_blocks(file: &[u8]) -> NoPem {
    match file {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => NoPem::Utf16,
        _ if file.trim_ascii().is_empty() => NoPem::Empty,
        // A DER certificate or key is a SEQUENCE whose first element is a SEQUENCE or an INTEGER.
        [0x30, 0x82, _, _, 0x30, ..] | [0x30, 0x81, _, 0x02, ..] | [0x30, _, 0x02, 0x01, 0x00 | 0x01, ..] => {
            NoPem::Der
        }
        [0x30, 0x82, _, _, 0x02, 0x01, 0x00, ..] => NoPem::Der,
        _ if std::str::from_utf8(file).is_err() || file.contains(&0) => NoPem::Binary,
        _ => NoPem::Text,
    }
}

/// Returns the label of a line that begins or ends a block.
fn delimiter<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(prefix)?.strip_suffix(b"-----")?;
    std::str::from_utf8(label).ok()
}

/// A block whose end was not read yet.
struct OpenBlock<'a> {
    number: usize,
    label: &'a str,
    has_headers: bool,
    is_encrypted: bool,
    /// Whether base64 began, after which no header follows.
    in_body: bool,
    base64: Zeroizing<Vec<u8>>,
}

impl<'a> OpenBlock<'a> {
    fn new(number: usize, label: &'a str) -> Self {
        // Room for a large key: a vector that grows leaves copies of a key behind.
        let base64 = Zeroizing::new(Vec::with_capacity(16 << 10));
        Self { number, label, has_headers: false, is_encrypted: false, in_body: false, base64 }
    }

    fn line(&mut self, line: &[u8]) {
        if !self.in_body && line.contains(&b':') {
            self.has_headers = true;
            self.is_encrypted |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
            return;
        }
        self.in_body |= !line.is_empty();
        self.base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
    }

    fn close(self, end: Option<&str>) -> PemBlock<'a> {
        let der = if end == Some(self.label) {
            BASE64.decode(&self.base64).map(Zeroizing::new).map_err(|_| PemProblem::NotBase64)
        } else {
            Err(PemProblem::NoEnd)
        };
        let Self { number, label, has_headers, is_encrypted, .. } = self;
        PemBlock { number, label, has_headers, is_encrypted, der }
    }
}

#[cfg(test)]
mod tests {
    use super::{NoPem, PemProblem, blocks, without_blocks};

    fn read(text: &str) -> Vec<(usize, String, Result<Vec<u8>, PemProblem>)> {
        let read = blocks(text.as_bytes()).into_iter();
        read.map(|block| (block.number, block.label.to_owned(), block.der.map(|der| der.to_vec()))).collect()
    }

    #[test]
    fn text_around_blocks_and_all_line_ends_are_read() {
        let good = |number, label: &str| (number, label.to_owned(), Ok(b"abc".to_vec()));
        for text in [
            "-----BEGIN X-----\nYWJj\n-----END X-----\n",
            "\u{feff}-----BEGIN X-----\r\nYW\r\nJj\r\n-----END X-----",
            "# a comment: here\nsubject=CN\n  -----BEGIN X-----\n  YWJj\n  -----END X-----\nafter",
            "-----BEGIN X-----\n\nYW Jj\n\n-----END X-----\n",
        ] {
            assert_eq!(read(text), [good(1, "X")], "{text:?}");
        }
        let two = "-----BEGIN A-----\nYWJj\n-----END A-----\n-----BEGIN B-----\nYWJj\n-----END B-----\n";
        assert_eq!(read(two), [good(1, "A"), good(2, "B")]);
    }

    #[test]
    fn a_bad_block_does_not_spoil_the_next() {
        let after = "-----BEGIN X-----\nYWJj\n-----END X-----\n";
        for (bad, problem) in [
            ("-----BEGIN X-----\nYW!j\n-----END X-----\n", PemProblem::NotBase64),
            ("-----BEGIN X-----\nYWJ\n-----END X-----\n", PemProblem::NotBase64),
            ("-----BEGIN X-----\nYWJj\n", PemProblem::NoEnd),
            ("-----BEGIN X-----\nYWJj\n-----END Y-----\n", PemProblem::NoEnd),
        ] {
            let read = read(&format!("{bad}{after}"));
            assert_eq!(read[0], (1, "X".to_owned(), Err(problem)), "{bad}");
            assert_eq!(read[1], (2, "X".to_owned(), Ok(b"abc".to_vec())), "{bad}");
        }
        assert_eq!(read("-----BEGIN X-----\nYWJj")[0].2, Err(PemProblem::NoEnd));
    }

    #[test]
    fn headers_are_seen() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
                    YWJj\n-----END RSA PRIVATE KEY-----\n";
        let read = blocks(text.as_bytes());
        assert!(read[0].has_headers && read[0].is_encrypted);
        assert_eq!(read[0].der.as_ref().map(|der| der.as_slice()), Ok(&b"abc"[..]));
    }

    #[test]
    fn a_file_without_blocks_is_named() {
        assert_eq!(without_blocks(b" \n"), NoPem::Empty);
        assert_eq!(without_blocks(b"vault"), NoPem::Text);
        assert_eq!(without_blocks(b"\xff\xfe-\0"), NoPem::Utf16);
        assert_eq!(without_blocks(b"\x30\x82\x01\x00\x30\x82\x00"), NoPem::Der);
        assert_eq!(without_blocks(b"\x30\x82\x01\x00\x02\x01\x00"), NoPem::Der);
        assert_eq!(without_blocks(b"\x30\x82\x01\x00\x02\x01\x03"), NoPem::Binary);
    }
}
