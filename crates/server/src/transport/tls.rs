//! TLS with rustls: a given certificate, or one for `localhost` that the server makes.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::bootstrap::write_private;
use crate::config::Config;

/// The acceptor that the settings ask for, if they ask for TLS.
pub(super) fn acceptor(config: &Config) -> anyhow::Result<Option<TlsAcceptor>> {
    if let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) {
        return load(certificate, key).map(Some);
    }
    if !config.tls_dev {
        return Ok(None);
    }
    let certificate = config.data_dir.join("tls-dev-cert.pem");
    let key = config.data_dir.join("tls-dev-key.pem");
    if !certificate.exists() || !key.exists() {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        // One by one: clients accept no wildcard right below `localhost`.
        names.extend(hiroba_api::SERVICES.iter().map(|service| format!("{}.localhost", service.segment)));
        let made = rcgen::generate_simple_self_signed(names).context("making a certificate for localhost")?;
        write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
        write_private(&certificate, made.cert.pem().as_bytes())?;
    }
    load(&certificate, &key).map(Some)
}

fn load(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading the certificate chain {}", certificate.display()))?;
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading the key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| format!("using the certificate {} with its key", certificate.display()))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}
