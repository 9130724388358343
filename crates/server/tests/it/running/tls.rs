//! TLS with the certificate that the server makes for `localhost`.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use hiroba_testkit::http::{Connection, Request};
use hiroba_testkit::socket::{Event, Socket};
use hiroba_testkit::{Database, on_both_engines, within};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::task::block_in_place;

use super::program;

/// A client that trusts this certificate and no other; with none it trusts nobody.
fn client(certificate: Option<CertificateDer<'static>>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(certificate) = certificate {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

async fn a_made_certificate_is_served(database: Database) {
    let folder = database.data_folder("data");
    let mut certificates = Vec::new();
    for _ in 0..2 {
        let server = block_in_place(|| program(&database).arg("--tls-dev").start());
        assert!(server.url().starts_with("https://"), "{}", server.url());
        let certificate = folder.join("tls-dev-cert.pem");
        let key = std::fs::metadata(folder.join("tls-dev-key.pem")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        certificates.push(std::fs::read(&certificate).unwrap());
        let trusted = client(Some(CertificateDer::from_pem_file(&certificate).unwrap()));

        let (client_id, client_secret) = server.credential();
        let login = json!({ "client_id": client_id, "client_secret": client_secret });
        for name in ["localhost", "lock.localhost", "127.0.0.1"] {
            let opening = Connection::open_tls(server.address(), name, Arc::clone(&trusted));
            let mut connection = within("a handshake", opening).await.unwrap();
            let request = Request::new("POST", "/identifier/projectToken/login").json(&login);
            let answer = within("an answer", connection.request(&request)).await.unwrap().unwrap();
            assert_eq!(answer.ok()["token_type"], "Bearer");
        }
        let connection =
            Connection::open_tls(server.address(), "localhost", Arc::clone(&trusted)).await.unwrap();
        let mut socket = Socket::open_on(connection, "/v2").await;
        socket.call(("identifier", "projectToken", "login"), login).await.ok();

        for (name, client) in [("example.com", trusted), ("localhost", client(None))] {
            let refused = within("a handshake", Connection::open_tls(server.address(), name, client)).await;
            assert!(refused.is_err(), "{name}");
        }
        // A plain request where TLS is served gets no answer and does no harm.
        let mut plain = Connection::open(server.address()).await;
        let answer = within("the close", plain.exchange(&Request::new("GET", "/healthz").bytes())).await;
        assert_eq!(answer, None);

        server.terminate();
        assert_eq!(socket.next().await, Event::Close(1001, "the server is stopping".to_owned()));
        drop(socket);
        block_in_place(|| server.stop());
    }
    assert_eq!(certificates[0], certificates[1], "the second start uses the certificate of the first");
}

on_both_engines! {
    a_made_certificate_is_served
}
