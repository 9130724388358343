//! The HTTP that scripts may use (BEHAVIOUR SC-15): only to hosts that the operator allows, and never to an address
//! inside the operator's network, whatever a name resolves to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};

pub use super::AllowedHost;
use super::{is_public, literal};

/// Longest URL.
const URL_BYTES_MAX: usize = 8 * 1024;
/// Headers that a script may give.
const HEADERS_MAX: usize = 64;
/// The methods that a script may use.
const METHODS: &[Method] =
    &[Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::PATCH];
/// Headers that belong to the connection. A script that set them could disagree with the server on where a request
/// ends, or name a host that it may not reach.
const HEADERS_REFUSED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What scripts may reach, and how much of it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The hosts; with none, scripts have no HTTP.
    pub(crate) allowed: Vec<AllowedHost>,
    /// Lets scripts reach this machine's own addresses. For tests only.
    pub(crate) loopback: bool,
    /// Longest body in bytes, of a request, and of an answer after it is decompressed.
    pub(crate) body_bytes_max: usize,
    /// Time for one request, from the look-up of the name to the end of the answer.
    pub(crate) timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) status: u16,
    /// What is not UTF-8 is replaced by U+FFFD.
    pub(crate) body: String,
}

/// Why there is no answer: 400 where the request is not permitted, 502 where the host failed, 504 where it was slow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// For the script's author.
    pub(crate) message: String,
}

impl Refusal {
    fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal { status: 400, message: message.into() }
    }

    fn not_public(host: &str) -> Refusal {
        Refusal::bad_request(format!("`{host}` has no public address; scripts reach no others"))
    }
}

/// The HTTP of scripts.
#[derive(Debug)]
pub(crate) struct Web {
    client: Client,
    settings: Settings,
}

impl Web {
    /// Makes a client, and connects to nothing yet.
    pub(crate) fn new(settings: Settings) -> anyhow::Result<Web> {
        let client = super::client()?
            // A proxy would look names up for itself, out of reach of the check.
            .no_proxy()
            .dns_resolver(Arc::new(CheckedResolver { loopback: settings.loopback }))
            .build()?;
        Ok(Web { client, settings })
    }

    /// Makes one request, and follows no redirect: that is an answer like any other.
    pub(crate) async fn fetch(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Option<String>,
    ) -> Result<Fetched, Refusal> {
        let request = self.request(method, url, headers, body)?;
        let Settings { timeout, .. } = self.settings;
        let late = |_| {
            let message = format!("no complete answer within {timeout:?}");
            Err(Refusal { status: 504, message })
        };
        tokio::time::timeout(timeout, self.run(request)).await.unwrap_or_else(late)
    }

    /// The request, if it is permitted.
    fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Option<String>,
    ) -> Result<Request, Refusal> {
        if self.settings.allowed.is_empty() {
            return Err(Refusal::bad_request(
                "scripts have no HTTP: the server's setting `--script-http-allow` names no hosts",
            ));
        }
        let Some(method) = METHODS.iter().find(|known| known.as_str() == method) else {
            return Err(Refusal::bad_request(format!("the method is none of {}", list(METHODS))));
        };
        let mut request = Request::new(method.clone(), self.url(url)?);
        *request.headers_mut() = header_map(headers)?;
        if let Some(body) = body {
            let max = self.settings.body_bytes_max;
            if body.len() > max {
                return Err(Refusal::bad_request(format!("the body is longer than {max} bytes")));
            }
            *request.body_mut() = Some(body.into());
        }
        Ok(request)
    }

    /// The URL, if its host is allowed and, where it is an address, public.
    fn url(&self, url: &str) -> Result<Url, Refusal> {
        if url.len() > URL_BYTES_MAX {
            return Err(Refusal::bad_request(format!("the URL is longer than {URL_BYTES_MAX} bytes")));
        }
        let url = Url::parse(url)
            .map_err(|error| Refusal::bad_request(format!("the URL is not valid: {error}")))?;
        let default_port = match url.scheme() {
            "http" => 80,
            "https" => 443,
            _ => return Err(Refusal::bad_request("the URL begins with neither `http://` nor `https://`")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::bad_request("the URL may hold no user or password"));
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port().unwrap_or(default_port);
        if !self.settings.allowed.iter().any(|allowed| allowed.permits(host, port, default_port)) {
            return Err(Refusal::bad_request(format!(
                "`{host}` with port {port} is not allowed by the server's setting `--script-http-allow`"
            )));
        }
        // An address is not looked up, so that the resolver does not see it. Whatever its spelling was, parsing the
        // URL has made it the usual one.
        if let Some(address) = literal(host)
            && !is_permitted(address, self.settings.loopback)
        {
            return Err(Refusal::not_public(host));
        }
        Ok(url)
    }

    async fn run(&self, request: Request) -> Result<Fetched, Refusal> {
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let failed = |error: reqwest::Error| self.failed(&host, error);
        let response = self.client.execute(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = self.read(&host, response).await?;
        Ok(Fetched { status, body })
    }

    /// The answer's body. It is counted as it is read and after it is decompressed: what its header says of its
    /// length is the host's word, and a small body may become a huge one.
    async fn read(&self, host: &str, mut response: Response) -> Result<String, Refusal> {
        let max = self.settings.body_bytes_max;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(host, error))? {
            if chunk.len() > max - body.len() {
                let message = format!("the answer of `{host}` is longer than {max} bytes");
                return Err(Refusal { status: 502, message });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn failed(&self, host: &str, error: reqwest::Error) -> Refusal {
        if super::sources(&error).any(|source| source.is::<NotPublic>()) {
            return Refusal::not_public(host);
        }
        if error.is_builder() {
            return Refusal::bad_request(super::cause(error));
        }
        Refusal { status: 502, message: format!("`{host}`: {}", super::cause(error)) }
    }
}

/// The headers, if a script may set them. Refusals name no values, which may be secret.
fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, Refusal> {
    if headers.len() > HEADERS_MAX {
        return Err(Refusal::bad_request(format!("there are more than {HEADERS_MAX} headers")));
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let (Ok(key), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(Refusal::bad_request(format!("the header `{name}` is not valid")));
        };
        if HEADERS_REFUSED.contains(&key.as_str()) {
            return Err(Refusal::bad_request(format!("the header `{name}` is not a script's to set")));
        }
        map.append(key, value);
    }
    Ok(map)
}

fn list(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

/// Looks names up, and gives only addresses that scripts may reach. The client connects to these and looks nothing up
/// again, so that a name cannot become another address after the check.
#[derive(Debug, Clone, Copy)]
struct CheckedResolver {
    loopback: bool,
}

/// A name has addresses, but none that scripts may reach.
#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
struct NotPublic;

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let CheckedResolver { loopback } = *self;
        Box::pin(async move {
            // Port 0 stands for the URL's.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(permitted(found, loopback)?)
        })
    }
}

fn permitted(found: impl Iterator<Item = SocketAddr>, loopback: bool) -> Result<Addrs, NotPublic> {
    let addresses: Vec<_> = found.filter(|address| is_permitted(address.ip(), loopback)).collect();
    if addresses.is_empty() { Err(NotPublic) } else { Ok(Box::new(addresses.into_iter())) }
}

fn is_permitted(address: IpAddr, loopback: bool) -> bool {
    is_public(address) || (loopback && address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::stand_in::{self, answer};
    use super::*;

    const BODY_BYTES_MAX: usize = 1 << 20;

    fn web(allowed: &[&str], loopback: bool) -> Web {
        let allowed = allowed.iter().map(|text| text.parse().unwrap()).collect();
        let timeout = Duration::from_secs(10);
        Web::new(Settings { allowed, loopback, body_bytes_max: BODY_BYTES_MAX, timeout }).unwrap()
    }

    /// What a script gets where a host on this machine answers so.
    async fn get(answer: Vec<u8>) -> Result<Fetched, Refusal> {
        let (address, _received) = stand_in::start(answer).await;
        let web = web(&[&address.to_string()], true);
        web.fetch("GET", &format!("http://{address}/"), &[], None).await
    }

    #[track_caller]
    fn assert_refused<T: fmt::Debug>(result: Result<T, Refusal>, status: u16, part: &str) {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.status, status, "{refusal}");
        assert!(refusal.message.contains(part), "{refusal}");
    }

    fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Every spelling that parsing a URL accepts for an address comes to the same check.
    #[test]
    fn spellings_of_addresses() {
        let hosts = "127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0X7F.0.0.0x1 0177.0.0.1 0177.1 \
             017700000001 127.0.0.1. 127.0.0.01 %31%32%37.0.0.1 127。0。0。1 １２７.0.0.1 ⑫7.0.0.1 0 0.0.0.0 \
             [::1] [0:0:0:0:0:0:0:1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] \
             10.0.0.1 0xa000001 167772161 012.1 192.168.1.1 0xc0a80101 169.254.169.254 2852039166 0xa9fea9fe \
             0251.0376.0251.0376 [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [64:ff9b::a9fe:a9fe] \
             [2002:a9fe:a9fe::] [fe80::1] [fd00:ec2::254] [FD00:EC2::254]";
        for host in hosts.split_whitespace() {
            // As if the operator allowed the address itself: it is refused all the same.
            let web = web(&[host], false);
            assert_refused(web.url(&format!("http://{host}/")), 400, "has no public address");
            assert_refused(web.url(&format!("https:{host}")), 400, "has no public address");
        }
        for host in ["8.8.8.8", "134744072", "0x8080808", "010.8.8.8", "[2606:4700:4700::1111]"] {
            web(&[host], false).url(&format!("http://{host}/")).unwrap();
        }
        for host in ["256.1.1.1", "1.2.3.4.5", "0x100000000", "[::1", "[fe80::1%25eth0]", "::1", ""] {
            assert_refused(web(&["8.8.8.8"], false).url(&format!("http://{host}/")), 400, "not valid");
        }
    }

    #[test]
    fn a_name_keeps_only_its_public_addresses() {
        let found = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        let mixed = found(&["10.0.0.1", "8.8.8.8", "::1", "127.0.0.1", "2606:4700:4700::1111"]);
        let kept: Vec<_> = permitted(mixed.into_iter(), false).unwrap().collect();
        assert_eq!(kept, found(&["8.8.8.8", "2606:4700:4700::1111"]));
        assert!(permitted(found(&["10.0.0.1", "127.0.0.1"]).into_iter(), false).is_err());
        let own = found(&["10.0.0.1", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"]);
        let kept: Vec<_> = permitted(own.into_iter(), true).unwrap().collect();
        assert_eq!(kept, found(&["127.0.0.1", "::1", "::ffff:127.0.0.1"]));
    }

    #[test]
    fn allowed_hosts_are_matched() {
        #[track_caller]
        fn check(allowed: &str, url: &str, permitted: bool) {
            let result = web(&[allowed], false).url(url);
            assert_eq!(result.is_ok(), permitted, "{allowed} {url} {result:?}");
        }
        check("api.example.com", "https://api.example.com/a?b#c", true);
        check("api.example.com", "http://api.example.com", true);
        check("api.example.com", "https://API.EXAMPLE.COM./", true);
        check("api.example.com", "https://api.example.com:443/", true);
        check("api.example.com", "https://api.example.com:80/", false);
        check("api.example.com", "http://api.example.com:443/", false);
        check("api.example.com", "https://api.example.com:8443/", false);
        check("api.example.com", "https://example.com/", false);
        check("api.example.com", "https://x.api.example.com/", false);
        check("api.example.com", "https://api.example.com.evil.example/", false);
        check("api.example.com", "https://api.example.com../", false);
        check("api.example.com", "https://evil.example/api.example.com", false);
        check("api.example.com", "https://evil.example\\api.example.com/", false);
        check("api.example.com", "https://evil.example#api.example.com/", false);
        check("api.example.com", "https://evil.example?@api.example.com/", false);
        check("api.example.com:8443", "https://api.example.com:8443/", true);
        check("api.example.com:8443", "http://api.example.com:8443/", true);
        check("api.example.com:8443", "https://api.example.com/", false);
        check("API.example.com.", "https://api.example.com/", true);
        check("*.example.com", "https://api.example.com/", true);
        check("*.example.com", "https://a.b.example.com./", true);
        check("*.example.com", "https://example.com/", false);
        check("*.example.com", "https://.example.com/", false);
        check("*.example.com", "https://evilexample.com/", false);
        check("*.example.com:8443", "https://a.example.com:8443/", true);
        check("*.example.com:8443", "https://a.example.com/", false);
        check("bücher.example", "https://BÜCHER.example/", true);
        check("bücher.example", "https://xn--bcher-kva.example/", true);
        check("xn--bcher-kva.example", "https://bücher.example/", true);
        check("example.com", "https://ｅxample.com/", true);
        check("example.com", "https://ехample.com/", false);
    }

    #[test]
    fn requests_that_are_not_permitted() {
        let web = web(&["example.com"], false);
        let url = |url: &str| web.request("GET", url, &[], None);
        assert_refused(url("ftp://example.com/"), 400, "neither");
        assert_refused(url("file:///etc/passwd"), 400, "neither");
        assert_refused(url("unix:/run/docker.sock"), 400, "neither");
        assert_refused(url("example.com"), 400, "not valid");
        assert_refused(url("http://user@example.com/"), 400, "user");
        assert_refused(url("http://:password@example.com/"), 400, "user");
        assert_refused(url(&format!("http://example.com/{}", "a".repeat(8192))), 400, "longer than");

        let request =
            |method: &str, headers: &[_]| web.request(method, "http://example.com/", &pairs(headers), None);
        for method in ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"] {
            request(method, &[]).unwrap();
        }
        for method in ["CONNECT", "TRACE", "OPTIONS", "get", "", "GET / HTTP/1.1\r\n"] {
            assert_refused(request(method, &[]), 400, "none of GET, POST");
        }
        for name in ["Host", "content-length", "CONNECTION", "Transfer-Encoding", "TE", "Upgrade", "Expect"] {
            assert_refused(request("GET", &[(name, "x")]), 400, "not a script's to set");
        }
        for header in [("a b", "x"), ("", "x"), ("a:", "x"), ("a", "x\r\nhost: y"), ("a", "\0")] {
            assert_refused(request("GET", &[header]), 400, "is not valid");
        }
        assert_refused(request("GET", &[("a", "x"); HEADERS_MAX + 1]), 400, "more than 64");
        let long = Some("a".repeat(BODY_BYTES_MAX + 1));
        assert_refused(web.request("POST", "http://example.com/", &[], long), 400, "longer than");
    }

    #[tokio::test]
    async fn scripts_have_no_http_by_default() {
        let fetched = web(&[], true).fetch("GET", "http://example.com/", &[], None).await;
        assert_refused(fetched, 400, "--script-http-allow");
    }

    #[tokio::test]
    async fn a_request_is_sent_and_its_answer_given() {
        let (address, mut received) =
            stand_in::start(answer(201, "set-cookie: a=b\r\n", "hé".as_bytes())).await;
        let web = web(&[&address.to_string()], true);
        let url = format!("http://{address}/a?b=c#d");
        for _ in 0..2 {
            let headers = pairs(&[("X-One", "1"), ("Content-Type", "text/plain")]);
            let fetched = web.fetch("PUT", &url, &headers, Some("é".to_owned())).await;
            assert_eq!(fetched, Ok(Fetched { status: 201, body: "hé".to_owned() }));
            let received = received.try_recv().unwrap();
            assert!(received.head.starts_with("PUT /a?b=c HTTP/1.1\r\n"), "{}", received.head);
            assert_eq!(received.header("host"), Some(address.to_string().as_str()));
            assert_eq!(received.header("x-one"), Some("1"));
            assert_eq!(received.header("content-type"), Some("text/plain"));
            assert_eq!(received.header("cookie"), None);
            assert_eq!(received.body, "é");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_checked() {
        let (address, mut received) = stand_in::start(answer(200, "", b"ok")).await;
        let allowed = format!("localhost:{}", address.port());
        let url = format!("http://{allowed}/");
        let fetched = web(&[&allowed], false).fetch("GET", &url, &[], None).await;
        assert_refused(fetched, 400, "`localhost` has no public address");
        assert!(received.try_recv().is_err());
        let fetched = web(&[&allowed], true).fetch("GET", &url, &[], None).await;
        assert_eq!(fetched, Ok(Fetched { status: 200, body: "ok".to_owned() }));
    }

    #[tokio::test]
    async fn this_machine_is_refused() {
        let (address, mut received) = stand_in::start(answer(200, "", b"ok")).await;
        let web = web(&[&address.to_string()], false);
        for host in ["127.0.0.1", "2130706433", "0x7f.1"] {
            let url = format!("http://{host}:{}/", address.port());
            assert_refused(web.fetch("GET", &url, &[], None).await, 400, "`127.0.0.1` has no public address");
        }
        assert!(received.try_recv().is_err());
    }

    #[tokio::test]
    async fn every_status_is_an_answer() {
        for status in [204, 404, 500] {
            assert_eq!(get(answer(status, "", b"")).await, Ok(Fetched { status, body: String::new() }));
        }
        let (elsewhere, mut received) = stand_in::start(answer(200, "", b"")).await;
        let location = format!("location: http://{elsewhere}/\r\n");
        for status in [301, 302, 307] {
            let fetched = get(answer(status, &location, b"there")).await;
            assert_eq!(fetched, Ok(Fetched { status, body: "there".to_owned() }));
        }
        assert!(received.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_head_request_has_no_body() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\nconnection: close\r\n\r\n".to_vec();
        let (address, _received) = stand_in::start(head).await;
        let web = web(&[&address.to_string()], true);
        let fetched = web.fetch("HEAD", &format!("http://{address}/"), &[], None).await;
        assert_eq!(fetched, Ok(Fetched { status: 200, body: String::new() }));
    }

    #[tokio::test]
    async fn text_that_is_not_utf_8_is_repaired() {
        assert_eq!(get(answer(200, "", b"a\xffb")).await.unwrap().body, "a\u{fffd}b");
    }

    #[tokio::test]
    async fn long_answers_are_cut_off() {
        let longest = vec![b'a'; BODY_BYTES_MAX];
        assert_eq!(get(answer(200, "", &longest)).await.unwrap().body.len(), BODY_BYTES_MAX);
        let longer = vec![b'a'; BODY_BYTES_MAX + 1];
        assert_refused(get(answer(200, "", &longer)).await, 502, "longer than 1048576 bytes");
        // Without a length, until the connection ends.
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n", longer.as_slice()].concat();
        assert_refused(get(endless).await, 502, "longer than 1048576 bytes");
    }

    #[tokio::test]
    async fn decompressed_answers_are_counted() {
        let gzip = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let header = "content-encoding: gzip\r\n";
        assert_eq!(get(answer(200, header, &gzip(b"hello"))).await.unwrap().body, "hello");
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < BODY_BYTES_MAX);
        assert_refused(get(answer(200, header, &bomb)).await, 502, "longer than 1048576 bytes");
        assert_refused(get(answer(200, header, b"not gzip")).await, 502, "");
    }

    #[tokio::test]
    async fn slow_answers_are_refused() {
        let head_only = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na".to_vec();
        let (silent, _received) = stand_in::start_stuck(Vec::new()).await;
        let (stuck, _stuck) = stand_in::start_stuck(head_only).await;
        for address in [silent, stuck] {
            let mut web = web(&[&address.to_string()], true);
            web.settings.timeout = Duration::from_millis(50);
            let fetched = web.fetch("GET", &format!("http://{address}/"), &[], None).await;
            assert_refused(fetched, 504, "no complete answer within 50ms");
        }
    }

    #[tokio::test]
    async fn hosts_that_fail() {
        assert_refused(get(Vec::new()).await, 502, "`127.0.0.1`: ");
        assert_refused(get(b"what?\r\n\r\n".to_vec()).await, 502, "");
        assert_refused(get(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na".to_vec()).await, 502, "");

        // The port was free a moment ago.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        // No name server is asked for a label that is too long.
        let nowhere = format!("{}.example", "a".repeat(64));
        let web = web(&[&address.to_string(), &nowhere], true);
        assert_refused(web.fetch("GET", &format!("http://{address}/"), &[], None).await, 502, "refused");
        assert_refused(web.fetch("GET", &format!("http://{nowhere}/"), &[], None).await, 502, "lookup");
    }
}
