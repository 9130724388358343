//! Accepts connections, serves HTTP/1.1 on them, and stops in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderValue, Method, Request, Response, header};
use bytes::Bytes;
use hiroba_api::error::ApiError;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::limits::{HANDSHAKE_TIME, HEADER_TIME, STOP_TIME};
use super::stream::{Meter, Stream};
use super::{data, rest, socket, tls, upload};
use crate::config::Config;
use crate::pipeline::Pipeline;

/// A listening server.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    is_tls: bool,
    accepting: tokio::task::JoinHandle<()>,
}

/// What every connection needs.
struct Shared {
    pipeline: Arc<Pipeline>,
    stop: watch::Receiver<bool>,
}

impl Listener {
    /// Binds the address and begins to accept.
    pub(crate) async fn start(
        config: &Config,
        pipeline: Arc<Pipeline>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Listener> {
        let tls = tls::acceptor(config)?;
        let listener = TcpListener::bind(config.listen);
        let listener = listener.await.with_context(|| format!("listening on {}", config.listen))?;
        let address = listener.local_addr()?;
        let is_tls = tls.is_some();
        // Set once: a pipeline has one listener.
        let _ = pipeline.core().urls.listening.set(url(address, is_tls));
        let shared = Arc::new(Shared { pipeline, stop });
        let accepting = tokio::spawn(accept(listener, tls, shared, config.connections_max));
        Ok(Listener { address, is_tls, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Waits until the last connection has ended after the stop.
    pub(crate) async fn finished(self) {
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "accepting ended badly");
        }
    }
}

/// Counts a connection as open until it is dropped. A socket takes it along when HTTP ends.
pub(super) struct Guard {
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
    _open: mpsc::Sender<()>,
}

impl Guard {
    fn new(shared: &Arc<Shared>, place: OwnedSemaphorePermit, open: mpsc::Sender<()>) -> Guard {
        shared.pipeline.core().metrics.connections.inc();
        Guard { shared: Arc::clone(shared), _place: place, _open: open }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.pipeline.core().metrics.connections.dec();
    }
}

struct Connection {
    shared: Arc<Shared>,
    is_tls: bool,
    guard: Arc<Guard>,
    meter: Arc<Meter>,
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    connections_max: usize,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    // Every connection holds a sender; when the last is gone, `recv` ends.
    let (open, mut ended) = mpsc::channel::<()>(1);
    let mut stop = shared.stop.clone();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, or the peer was quicker: the next one may do better.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(connections_max, "too many connections; closing a new one");
            continue;
        };
        let tls = tls.clone();
        let guard = Guard::new(&shared, place, open.clone());
        let connection = Connection {
            shared: Arc::clone(&shared),
            is_tls: tls.is_some(),
            guard: Arc::new(guard),
            meter: Arc::default(),
        };
        tokio::spawn(async move { serve(stream, tls, &connection).await });
    }
    drop((listener, open));
    if timeout(STOP_TIME, ended.recv()).await.is_err() {
        tracing::warn!("some connections did not end in time; leaving them");
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, connection: &Connection) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection broke at once");
        return;
    }
    match tls {
        None => serve_http(stream, connection).await,
        Some(tls) => match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve_http(stream, connection).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, connection: &Connection) {
    let mut stop = connection.shared.stop.clone();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_buf_size(128 << 10);
    let stream = Stream::new(stream, Arc::clone(&connection.meter));
    let service =
        service_fn(
            |request| async move { Ok::<_, std::convert::Infallible>(handle(connection, request).await) },
        );
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Where a caller on this machine reaches the address.
fn url(mut address: SocketAddr, is_tls: bool) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// The one HTTP route: what the server says of itself, the socket, files, uploads, and everything else to REST.
async fn handle(connection: &Connection, request: Request<Incoming>) -> Response<data::Body> {
    let path = request.uri().path();
    if let Some(path) = data::path(path) {
        let path = path.to_owned();
        let (head, body) = request.into_parts();
        return data::handle(&connection.shared.pipeline, &head, &path, body).await;
    }
    answer(connection, request).await.map(data::Body::Left)
}

/// Everything whose answer is in memory.
async fn answer(connection: &Connection, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let shared = &connection.shared;
    let (mut head, body) = request.into_parts();
    if head.method == Method::GET {
        match head.uri.path() {
            "/healthz" => return plain("ok\n".to_owned(), "text/plain; charset=utf-8"),
            "/metrics" => {
                let text = shared.pipeline.core().metrics.text();
                return plain(text, "application/openmetrics-text; version=1.0.0; charset=utf-8");
            }
            "/" | "/v2" if head.headers.contains_key(header::UPGRADE) => {
                return match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
                    Ok(upgrade) => {
                        let (guard, meter) = (Arc::clone(&connection.guard), Arc::clone(&connection.meter));
                        let (pipeline, stop) = (Arc::clone(&shared.pipeline), shared.stop.clone());
                        let base_url = rest::base_url(&head, connection.is_tls);
                        let answer = socket::upgrade(upgrade, pipeline, stop, guard, meter, base_url);
                        // An upgrade is answered with a head alone.
                        answer.map(|_| Full::default())
                    }
                    Err(rejection) => {
                        let detail = format!("the upgrade to a WebSocket cannot be made: {rejection}");
                        let error = ApiError::bad_request("server", "request", "upgrade", "invalid", detail);
                        rest::refuse(&shared.pipeline, &head, &error)
                    }
                };
            }
            _ => {}
        }
    }
    if let Some(token) = upload::token(head.uri.path()) {
        return upload::handle(&shared.pipeline, &head, token, body).await;
    }
    rest::handle(&shared.pipeline, head, body, connection.is_tls).await
}

fn plain(text: String, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
