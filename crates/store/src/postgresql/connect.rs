//! How a connection is made and set up.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use postgres::{
    Client, Config, NoTls,
    config::{Host, SslMode},
    error::SqlState,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{causes, engine_error};
use crate::{config::PostgresConfig, error::StoreError};

/// Wait for a connection at most, unless the URL says `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait for the acknowledgement of sent bytes at most, unless the URL says `tcp_user_timeout`.
const SENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence after which the connection is probed: a server that vanished must not hold a worker for ever.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Makes connections; shared by the workers of a store.
pub(crate) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    schema: Option<String>,
}

impl Connector {
    pub(crate) fn new(config: &PostgresConfig) -> Result<Self, StoreError> {
        let (url, roots) = split_url(&config.url);
        // The parser's message may quote a part of the URL, but never the password.
        let mut parsed = Config::from_str(&url)
            .map_err(|error| StoreError::Config(format!("database URL: {}", causes(&error))))?;
        if parsed.get_connect_timeout().is_none() {
            parsed.connect_timeout(CONNECT_TIMEOUT);
        }
        if parsed.get_tcp_user_timeout().is_none() {
            parsed.tcp_user_timeout(SENT_TIMEOUT);
        }
        if parsed.get_application_name().is_none() {
            parsed.application_name("hiroba");
        }
        parsed.keepalives_idle(SILENCE_MAX);
        let tls = match parsed.get_ssl_mode() {
            SslMode::Require => Some(tls(roots)?),
            _ => {
                // "prefer" would fall back to plain text in front of whoever asks for it: no better than this.
                parsed.ssl_mode(SslMode::Disable);
                None
            }
        };
        if config.schema.as_ref().is_some_and(|schema| schema.is_empty() || schema.contains('\0')) {
            return Err(StoreError::Config("the schema's name is empty or contains U+0000".to_owned()));
        }
        Ok(Self { config: parsed, tls, schema: config.schema.clone() })
    }

    /// Host, database and schema for messages.
    pub(crate) fn place(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        match &self.schema {
            Some(schema) => format!("{host}/{database} (schema {schema})"),
            None => format!("{host}/{database}"),
        }
    }

    /// The schema as an SQL name.
    pub(crate) fn schema(&self) -> Option<String> {
        self.schema.as_ref().map(|schema| format!("\"{}\"", schema.replace('"', "\"\"")))
    }

    /// Opens a connection. Must not be called on a thread of an asynchronous runtime.
    pub(crate) fn connect(&self) -> Result<Client, StoreError> {
        let client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        let mut client = client.map_err(|error| StoreError::Unavailable(causes(&error)))?;
        // A sequential scan, which the planner prefers on a small table, takes a predicate lock on the whole
        // relation: two transactions on different rows of it then conflict. An index scan locks what it touches.
        // With sequential scans "disabled" by cost, those that remain look dear enough to compile, which takes
        // longer than any of our statements.
        for setting in ["SET enable_seqscan = off", "SET jit = off"] {
            match client.batch_execute(setting) {
                Ok(()) => {}
                // Another server of the same protocol may not know it.
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => {}
                Err(error) => return Err(engine_error(&error, setting)),
            }
        }
        if let Some(schema) = self.schema() {
            let setting = format!("SET search_path TO {schema}");
            client.batch_execute(&setting).map_err(|error| engine_error(&error, &setting))?;
        }
        Ok(client)
    }
}

/// Takes out of the URL what only libpq knows: the file of root certificates, and modes that check the server's
/// certificate, which `require` does here too.
fn split_url(url: &str) -> (String, Option<PathBuf>) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let (mut kept, mut roots) = (Vec::new(), None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslrootcert", path)) => roots = Some(PathBuf::from(path)),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            _ => kept.push(pair),
        }
    }
    (format!("{base}?{}", kept.join("&")), roots)
}

fn tls(roots_path: Option<PathBuf>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    match roots_path {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let failed =
                |reason: String| StoreError::Config(format!("sslrootcert {}: {reason}", path.display()));
            for certificate in
                CertificateDer::pem_file_iter(&path).map_err(|error| failed(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(failed("contains no certificate".to_owned()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Config(format!("setting up TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &str, roots: Option<&str>) {
        assert_eq!(split_url(url), (expected.to_owned(), roots.map(PathBuf::from)));
    }

    #[test]
    fn what_only_libpq_knows_is_taken_out() {
        check("postgresql://a@b/c", "postgresql://a@b/c", None);
        check("postgresql://b/c?sslmode=require", "postgresql://b/c?sslmode=require", None);
        check("postgresql://b?sslmode=verify-full", "postgresql://b?sslmode=require", None);
        check("postgresql://b?sslrootcert=/r.pem&user=u", "postgresql://b?user=u", Some("/r.pem"));
    }

    #[test]
    fn encryption_is_as_the_url_says() {
        let connector = |url: &str| Connector::new(&PostgresConfig::new(url));
        assert!(connector("postgresql://b/c?sslmode=require").unwrap().tls.is_some());
        assert!(connector("postgresql://b/c").unwrap().tls.is_none());
        let error = connector("postgresql://b/c?sslmode=require&sslrootcert=/nowhere/r.pem").err().unwrap();
        assert!(matches!(&error, StoreError::Config(text) if text.contains("/nowhere/r.pem")), "{error}");
        let error = connector("postgresql://u:hidden@b/c?sslmode=sometimes").err().unwrap();
        assert!(matches!(&error, StoreError::Config(text) if !text.contains("hidden")), "{error}");
    }

    #[test]
    fn places_hold_no_credentials() {
        let mut config = PostgresConfig::new("postgresql://u:hidden@b:1/c");
        config.schema = Some("s\"1".to_owned());
        let connector = Connector::new(&config).unwrap();
        assert_eq!(connector.place(), "b/c (schema s\"1)");
        assert_eq!(connector.schema().unwrap(), "\"s\"\"1\"");
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
