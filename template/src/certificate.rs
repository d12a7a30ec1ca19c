//! What `pkiCert` returns: the parts of an answer of Vault's PKI, as consul-template takes them
//! apart (`dependency/vault_pki.go`).

use std::sync::Arc;

use coffer_vault::json::JsonValue;
use coffer_vault::{Answer, Secret};
use data_encoding::BASE64;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::budget::{MemoryMeter, Sink};
use crate::render_fault::RenderProblem;
use crate::value::{Bytes, Texts, place};

/// A certificate, its key, and the authorities, each in PEM.
pub(crate) struct CertificateTexts {
    pub(crate) certificate: Bytes,
    pub(crate) key: Bytes,
    /// The first authority.
    pub(crate) authority: Bytes,
    /// All authorities, each once.
    pub(crate) chain: Texts,
}

/// Returns the parts of an answer. consul-template takes the texts of `data` in random order; here
/// the issuer comes first, so that it is the authority.
pub(crate) fn certificate_texts(
    answer: &Answer,
    meter: &Arc<MemoryMeter>,
) -> Result<CertificateTexts, RenderProblem> {
    let data = answer.envelope().field("data");
    let member = |name: &str| data.and_then(|data| data.member(name));
    let mut texts: Vec<Secret> = Vec::new();
    for name in ["certificate", "issuing_ca", "private_key"] {
        texts.extend(member(name).and_then(JsonValue::string));
    }
    let chain = member("ca_chain").into_iter().flat_map(JsonValue::items);
    texts.extend(chain.filter_map(JsonValue::string));

    let mut found =
        FoundBlocks { certificate: Secret::default(), key: Secret::default(), authorities: Vec::new() };
    for text in &texts {
        found.take(text.expose_str().unwrap_or_default())?;
    }
    let mut sink = Sink::value(meter)?;
    let mut places = Vec::new();
    for authority in &found.authorities {
        let start = sink.len();
        sink.push(authority.expose())?;
        places.push(place(start)..place(sink.len()));
    }
    let chain = match places.len() {
        0 => Texts::nil(meter)?,
        _ => Texts::new(Bytes::written(sink), places, meter)?,
    };
    let first = found.authorities.first().map(Secret::expose).unwrap_or_default();
    Ok(CertificateTexts {
        certificate: Bytes::copy(found.certificate.expose(), meter)?,
        key: Bytes::copy(found.key.expose(), meter)?,
        authority: Bytes::copy(first, meter)?,
        chain,
    })
}

struct FoundBlocks {
    certificate: Secret,
    key: Secret,
    authorities: Vec<Secret>,
}

/// Maximum number of authorities.
const MAX_AUTHORITIES: usize = 64;

impl FoundBlocks {
    /// Takes the PEM blocks of a text.
    fn take(&mut self, text: &str) -> Result<(), RenderProblem> {
        let mut rest = text;
        while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
            let (label, begun) = begun.split_once("-----").ok_or(RenderProblem::Certificate)?;
            let end = format!("-----END {label}-----");
            let (body, after) = begun.split_once(end.as_str()).ok_or(RenderProblem::Certificate)?;
            rest = after;
            let block = block(label, body)?;
            if label.ends_with("PRIVATE KEY") {
                self.key = block;
            } else if is_authority(body)? {
                if !self.authorities.contains(&block) {
                    self.authorities.push(block);
                }
                if self.authorities.len() > MAX_AUTHORITIES {
                    return Err(RenderProblem::TooManyItems);
                }
            } else {
                self.certificate = block;
            }
        }
        Ok(())
    }
}

/// Returns a block in the form in which Go writes it: lines of 64 characters, and a line break at
/// the end.
fn block(label: &str, body: &str) -> Result<Secret, RenderProblem> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut block = Secret::new(Vec::with_capacity(body.len() + 2 * label.len() + 64));
    block.push(format!("-----BEGIN {label}-----\n").as_bytes());
    let mut column = 0;
    for byte in body.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        if !is_base64(byte) {
            return Err(RenderProblem::Certificate);
        }
        if column == 64 {
            block.push(b"\n");
            column = 0;
        }
        block.push(&[byte]);
        column += 1;
    }
    if column > 0 {
        block.push(b"\n");
    }
    block.push(format!("-----END {label}-----\n").as_bytes());
    Ok(block)
}

/// Returns whether the certificate with this base64 is one of an authority.
fn is_authority(body: &str) -> Result<bool, RenderProblem> {
    let base64: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = BASE64.decode(&base64).map_err(|_| RenderProblem::Certificate)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| RenderProblem::Certificate)?;
    Ok(certificate.is_ca())
}
