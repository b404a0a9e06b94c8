//! Certificates.

use std::sync::Arc;

use longshore_store::{ConnectionFailure, Error, Flaw, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};

use crate::{Certificates, Config, Secret};

/// Returns the TLS configuration, with the client's certificate if `identity` is given.
pub(super) fn client(config: &Config, identity: Option<&Secret>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier::new(config, &provider)?);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::malformed("TLS", error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let (certificates, key) = read_identity(identity)?;
    builder.with_client_auth_cert(certificates, key).map_err(bad_identity)
}

/// Verifies the certificates of servers.
#[derive(Debug)]
struct Verifier {
    /// Verifies by the authorities of the system and of the configuration. `None` if there are none.
    authorities: Option<rustls_platform_verifier::Verifier>,
    named: Vec<CertificateDer<'static>>,
    accepted: Certificates,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(config: &Config, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let named = read_authorities(&config.extra_authorities)?;
        let provider = Arc::clone(provider);
        let authorities = match config.certificates {
            Certificates::Any => None,
            Certificates::Verified => {
                let found = rustls_platform_verifier::Verifier::new_with_extra_roots(
                    named.iter().cloned(),
                    Arc::clone(&provider),
                );
                match found {
                    Ok(found) => Some(found),
                    Err(error) if named.is_empty() => {
                        // Registries without TLS can be spoken to all the same.
                        tracing::debug!(%error, "the system's certificates cannot be used");
                        None
                    }
                    Err(error) => return Err(bad_authority(error)),
                }
            }
        };
        Ok(Self { authorities, named, accepted: config.certificates, provider })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.accepted == Certificates::Any {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authorities) = &self.authorities else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        let verified = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // A certificate from `openssl req -x509` is that of an authority and of a server in one. The
            // rules of the web refuse that, but the user named exactly this certificate. It is not
            // expired: the library checks that first, and would return another error.
            Err(error) if is_of_authority(&error) && self.named.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.accepted == Certificates::Any {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.accepted == Certificates::Any {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Tells whether a certificate was refused only because it belongs to an authority.
fn is_of_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error
    else {
        return false;
    };
    matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Returns the failure that a TLS error stands for, if there is a kind for it.
pub(crate) fn failure(error: &rustls::Error) -> Option<ConnectionFailure> {
    let what = match error {
        rustls::Error::InvalidCertificate(what) => what,
        // The host sent something that is not TLS.
        rustls::Error::InvalidMessage(_) => return Some(ConnectionFailure::NoTls),
        rustls::Error::AlertReceived(_) => {
            return Some(ConnectionFailure::Handshake(error.to_string()));
        }
        _ => return None,
    };
    Some(match what {
        CertificateError::UnknownIssuer => ConnectionFailure::UnknownAuthority,
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().map(|name| plain_name(name).to_owned()).collect();
            let wanted = Some(expected.to_str().into_owned());
            ConnectionFailure::OtherName { names, wanted }
        }
        CertificateError::NotValidForName => {
            ConnectionFailure::OtherName { names: Vec::new(), wanted: None }
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ConnectionFailure::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ConnectionFailure::NotYetValid
        }
        _ if is_of_authority(error) => ConnectionFailure::AuthorityItself,
        _ => ConnectionFailure::BadCertificate(error.to_string()),
    })
}

/// Returns a name as people write it: the library writes `DnsName("a.example")`.
fn plain_name(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, rest)| rest.trim_matches(['(', ')', '"']))
}

fn read_authorities(files: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>> {
    let mut all = Vec::new();
    for pem in files {
        let before = all.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            all.push(certificate.map_err(bad_authority)?);
        }
        if all.len() == before {
            return Err(bad_authority("there is no certificate in PEM in the file"));
        }
    }
    Ok(all)
}

fn read_identity(pem: &Secret) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let pem = pem.expose().as_bytes();
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(bad_identity)?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(bad_identity)?;
    Ok((certificates, key))
}

fn bad_authority(reason: impl ToString) -> Error {
    Error::malformed("an authority", Flaw::Authority(reason.to_string()))
}

fn bad_identity(reason: impl ToString) -> Error {
    Error::malformed("the identity", Flaw::Identity(reason.to_string()))
}
