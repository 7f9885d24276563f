//! The secret part of https.

use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::Host;

/// With the host's own authorities, which are read once; and without any.
static VERIFIED: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
static UNVERIFIED: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();

pub async fn secure(stream: TcpStream, host: &Host, verified: bool) -> Result<TlsStream<TcpStream>, String> {
    let config = spawn_blocking(move || match verified {
        true => VERIFIED.get_or_init(|| config(Some(authorities()))).clone(),
        false => UNVERIFIED.get_or_init(|| config(None)).clone(),
    });
    let config = config.await.map_err(|error| error.to_string())??;
    let name = ServerName::try_from(host.0.clone()).map_err(|error| error.to_string())?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| format!("TLS: {error}"))
}

fn config(authorities: Option<RootCertStore>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let config = match authorities {
        Some(authorities) => builder.with_root_certificates(authorities).with_no_client_auth(),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn authorities() -> RootCertStore {
    let mut store = RootCertStore::empty();
    // One that cannot be read vouches for nobody, and the handshake says so.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

/// `unverified`: whoever has the key to the certificate that it shows will do.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
