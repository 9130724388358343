//! What is no answer of the protocol: silence, refused connections, other servers, TLS that is not trusted.

use std::time::Duration;

use hiroba_api::lock::DescribeNamespaces;
use hiroba_api::names::PageLimit;
use hiroba_client::{Client, ClientBuilder, ClientError};
use hiroba_server::app::App;
use hiroba_server::clock::Clock;
use hiroba_server::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn list() -> DescribeNamespaces {
    DescribeNamespaces { name_prefix: None, page_token: None, limit: PageLimit::default() }
}

/// A server that answers every connection with these bytes, or never.
async fn answering(bytes: Option<&'static str>) -> ClientBuilder {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(bytes) = bytes {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(bytes.as_bytes()).await;
            } else {
                open.push(stream);
            }
        }
    });
    Client::builder(url).project_token("token")
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let time = Duration::from_millis(50);
    let client = answering(None).await.call_time(time).connect_time(time).build().unwrap();
    assert!(matches!(client.call(&list()).await, Err(ClientError::Timeout(waited)) if waited == time));
    assert!(matches!(client.socket().await, Err(ClientError::Timeout(_))));
}

#[tokio::test]
async fn a_refused_connection_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder(url).project_token("token").build().unwrap();
    assert!(matches!(client.call(&list()).await, Err(ClientError::Connection(_))));
    assert!(matches!(client.socket().await, Err(ClientError::Connection(_))));
}

#[tokio::test]
async fn another_servers_answers_are_told_as_such() {
    for (bytes, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", 200),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 200),
        ("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", 302),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops", 502),
    ] {
        let client = answering(Some(bytes)).await.build().unwrap();
        let result = client.call(&list()).await;
        assert!(
            matches!(result, Err(ClientError::Answer { status, .. }) if status == expected),
            "{result:?}"
        );
        assert!(client.socket().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_certificate_of_its_own() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("client-tls-{}", std::process::id()));
    let mut config = Config::new(&folder);
    config.tls_dev = true;
    let app = App::start(config, Clock::system()).await.unwrap();
    let url = format!("https://localhost:{}", app.address().port());
    let credential = app.credential().clone();
    let builder = || Client::builder(&url).credential(&credential.client_id, &credential.client_secret);

    let stranger = builder().build().unwrap();
    assert!(matches!(stranger.call(&list()).await, Err(ClientError::Connection(_))));

    let certificate = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("BEGIN CERTIFICATE")));
    let pem = std::fs::read(certificate.expect("the server keeps its certificate")).unwrap();
    let client = builder().root_certificate(pem).build().unwrap();
    client.call(&list()).await.unwrap();
    let socket = client.socket().await.unwrap();
    socket.call(&list()).await.unwrap();
    socket.close().await;
    app.stop().await;
    let _ = std::fs::remove_dir_all(&folder);
}
