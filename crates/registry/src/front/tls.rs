//! The certificate that a server shows.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The offered protocols: HTTP/2 to clients that prefer it, HTTP/1.1 to all.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate with its chain and key, as new connections use it.
#[derive(Clone)]
pub struct Certificate(Arc<ServerConfig>);

/// What is wrong with a certificate or its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateError {
    /// The certificates cannot be read.
    Certificate(String),
    /// The key cannot be read.
    Key(String),
    /// The key does not belong to the first certificate, or neither can be used.
    Pair(String),
}

/// The certificate of new connections.
pub(super) struct CurrentCertificate(RwLock<Certificate>);

impl Certificate {
    /// Reads certificates, that of the server first, and its key, both in PEM. Other sections are
    /// skipped.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| CertificateError::Certificate(told(&error)))?;
        if chain.is_empty() {
            let reason = "there is no `BEGIN CERTIFICATE` in it".to_owned();
            return Err(CertificateError::Certificate(reason));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| CertificateError::Key(of_key(&error, key)))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| CertificateError::Pair(of_pair(&error)))?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self(Arc::new(config)))
    }
}

impl CurrentCertificate {
    pub(super) fn new(certificate: Certificate) -> Self {
        Self(RwLock::new(certificate))
    }

    pub(super) fn replace(&self, certificate: Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).0)
    }
}

fn told(error: &PemError) -> String {
    match error {
        PemError::NoItemsFound => "there is nothing of the kind in it".to_owned(),
        PemError::Base64Decode(_) => "what is in it is not base64".to_owned(),
        error => error.to_string(),
    }
}

fn of_key(error: &PemError, pem: &[u8]) -> String {
    const ENCRYPTED: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";
    if pem.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
        return "it is encrypted, and nobody is there to type its password".to_owned();
    }
    match error {
        PemError::NoItemsFound => "there is no `BEGIN PRIVATE KEY` in it".to_owned(),
        error => told(error),
    }
}

fn of_pair(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => "the key is that of another certificate".to_owned(),
        error => error.to_string(),
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCertificate(..)")
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(reason) => write!(f, "the certificate cannot be read: {reason}"),
            Self::Key(reason) => write!(f, "the key cannot be read: {reason}"),
            Self::Pair(reason) => {
                write!(f, "the certificate and the key do not go together: {reason}")
            }
        }
    }
}

impl std::error::Error for CertificateError {}
