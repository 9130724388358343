//! TLS for both transports: the usual roots, those that the caller adds, and aws-lc-rs as the only provider.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::ClientError;

/// The settings, with further roots as PEM texts.
pub(crate) fn config(further_roots: &[Vec<u8>]) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for pem in further_roots {
        let setup =
            |error: &dyn std::fmt::Display| ClientError::Setup(format!("a root certificate: {error}"));
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|error| setup(&error))?).map_err(|error| setup(&error))?;
            count += 1;
        }
        if count == 0 {
            return Err(setup(&"the text holds no certificate in PEM form"));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Setup(format!("setting up TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_has_to_be_a_certificate() {
        assert!(config(&[]).is_ok());
        assert!(config(&[b"no certificate".to_vec()]).is_err());
    }
}
