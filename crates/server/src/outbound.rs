//! Requests that the server itself makes to the outside: events for Amazon EventBridge, and HTTP for scripts. Here is
//! what they share, and which hosts and addresses there are to reach.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::{Client, ClientBuilder, Url};
use rustls::{ClientConfig, RootCertStore};

pub(crate) mod eventbridge;
pub(crate) mod signature;
pub(crate) mod web;

/// What every client here has in common: the roots of the web's authorities, and that a redirect is an answer like any
/// other, because following it would leave the host that was asked for. A limit on time is each one's own.
pub(crate) fn client() -> Result<ClientBuilder, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder().use_preconfigured_tls(tls).redirect(reqwest::redirect::Policy::none()))
}

/// What went wrong, with its root, and without the URL, which may hold what a log must not.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    match sources(&error).last() {
        Some(root) => format!("{error}: {root}"),
        None => error.to_string(),
    }
}

/// The causes of an error, nearest first.
fn sources(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// A host that scripts may reach: `api.example.com`, `*.example.com` for every name below, or either with a port.
/// Without a port it is that of the URL's scheme, 443 or 80.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    /// As in a parsed URL: in lower case, ASCII, without a final dot.
    host: String,
    /// Names below `host` instead of `host` itself.
    below: bool,
    port: Option<u16>,
}

/// Why a text names no host to allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// More than a host and a port.
    #[error("give host and port only, such as `api.example.com:8443`, without scheme, user and path")]
    NotOnlyHost,
    /// A star elsewhere than in front, or alone.
    #[error("a star stands for names below a domain, such as `*.example.com`, and nowhere else")]
    Star,
    /// A port that does not exist.
    #[error("the port is no number from 1 to 65535")]
    Port,
    /// Neither a name nor an address.
    #[error("this is neither a name nor an address; an IPv6 address is in brackets")]
    Host,
}

impl AllowedHost {
    /// Whether a URL with this host, as it was parsed, and this port is meant.
    fn permits(&self, host: &str, port: u16, default_port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let named = if self.below {
            let below = host.strip_suffix(&self.host).and_then(|rest| rest.strip_suffix('.'));
            below.is_some_and(|label| !label.is_empty())
        } else {
            host == self.host
        };
        named && port == self.port.unwrap_or(default_port)
    }
}

impl FromStr for AllowedHost {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<AllowedHost, BadHost> {
        let text = text.trim();
        if text.contains(|c: char| "/\\?#@".contains(c) || c.is_whitespace() || c.is_control()) {
            return Err(BadHost::NotOnlyHost);
        }
        let (below, text) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if text.contains('*') {
            return Err(BadHost::Star);
        }
        // The colons of an IPv6 address are inside its brackets.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = port.map(|port| match port.parse::<u16>() {
            Ok(number) if number > 0 && !port.starts_with('+') => Ok(number),
            _ => Err(BadHost::Port),
        });
        if host.contains(':') && !host.starts_with('[') {
            return Err(BadHost::Host);
        }
        // Parsed like a script's URL, so that both have the same form.
        let url = Url::parse(&format!("http://{host}/")).map_err(|_| BadHost::Host)?;
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.is_empty() || host.split('.').any(str::is_empty) {
            return Err(BadHost::Host);
        }
        if below && literal(host).is_some() {
            return Err(BadHost::Star);
        }
        Ok(AllowedHost { host: host.to_owned(), below, port: port.transpose()? })
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The address that a parsed URL's host is, if it is none to look up.
fn literal(host: &str) -> Option<IpAddr> {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inside.unwrap_or(host).parse().ok()
}

/// Whether the address belongs to one host on the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// IPv4 that is not public, by first address and length of the prefix.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
const V4_REFUSED: &[(Ipv4Addr, u32)] = &[
    // This network, the unspecified address included.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Between a provider and its customers, and some clouds' metadata.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, and most clouds' metadata.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Azure's own service for its machines, with an address that is public by its looks only.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Relays of 6to4.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Benchmarking.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, broadcast included.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let differing = |net: Ipv4Addr| address.to_bits() ^ net.to_bits();
    !V4_REFUSED.iter().any(|&(net, length)| differing(net) >> (32 - length) == 0)
}

/// IPv6 inside 2000::/3 that is not public, by first address and length of the prefix.
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
const V6_REFUSED: &[(Ipv6Addr, u32)] = &[
    // Protocol assignments, the tunnels of Teredo included, which lead to an IPv4 address behind somebody's router.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // IPv4 in another form is what that IPv4 is: mapped, by NAT64, by 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Only 2000::/3 is given out for hosts. Outside of it are loopback, the unspecified address, IPv4-compatible
        // addresses, networks' own NAT64, unique local, link-local and site-local addresses, and multicast.
        segments => {
            let differing = |net: Ipv6Addr| address.to_bits() ^ net.to_bits();
            segments[0] >> 13 == 1
                && !V6_REFUSED.iter().any(|&(net, length)| differing(net) >> (128 - length) == 0)
        }
    }
}

#[cfg(test)]
mod stand_in {
    //! A server on this machine that answers every request with the same bytes.

    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    /// A request as it was received.
    #[derive(Debug)]
    pub(super) struct Received {
        /// Request line and headers.
        pub(super) head: String,
        pub(super) body: String,
    }

    impl Received {
        /// The value of a header.
        pub(super) fn header(&self, name: &str) -> Option<&str> {
            let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
            headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        }
    }

    /// Starts one that closes a connection after the answer.
    pub(super) async fn start(answer: Vec<u8>) -> (SocketAddr, mpsc::UnboundedReceiver<Received>) {
        serve(answer, false).await
    }

    /// Starts one that keeps a connection open after the answer, which may be a part of one, or nothing.
    pub(super) async fn start_stuck(answer: Vec<u8>) -> (SocketAddr, mpsc::UnboundedReceiver<Received>) {
        serve(answer, true).await
    }

    async fn serve(answer: Vec<u8>, stuck: bool) -> (SocketAddr, mpsc::UnboundedReceiver<Received>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, sender) = (answer.clone(), sender.clone());
                tokio::spawn(async move {
                    let received = read(&mut stream).await;
                    // The test may be over, and a client that has read enough closes the connection.
                    let _ = sender.send(received);
                    let _ = stream.write_all(&answer).await;
                    if stuck {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        (address, receiver)
    }

    /// An answer with a body of known length.
    pub(super) fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
        [head.as_bytes(), body].concat()
    }

    async fn read(stream: &mut TcpStream) -> Received {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let received = Received { head: head.to_owned(), body: body.to_owned() };
                let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
                if received.body.len() >= length {
                    return received;
                }
            }
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request ends early: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        #[track_caller]
        fn check(text: &str, public: bool) {
            assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
        }
        let public = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 \
             168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 \
             192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 \
             203.0.114.0 223.255.255.255 \
             2000:: 2001:200:: 2001:4860:4860::8888 2001:db7:: 2001:db9:: 2606:4700:4700::1111 3ffe:: 3fff:1000:: \
             ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1";
        for text in public.split_whitespace() {
            check(text, true);
        }
        let other = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 \
             127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 \
             172.31.255.255 192.0.0.0 192.0.0.192 192.0.0.255 192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 \
             198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.0 \
             255.255.255.255 \
             :: ::1 ::8.8.8.8 ::10.0.0.1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 \
             ::ffff:0:8.8.8.8 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 64:ff9b:0:1::8.8.8.8 \
             100::1 2001:: 2001:0:808:808::1 2001:0:808:808:0:0:f5ff:fffe 2001:10::1 2001:1ff:: 2001:db8::1 \
             2001:db8:ffff::1 2002:a00:1::1 2002:7f00:1::1 2002:a9fe:a9fe::1 3fff::1 3fff:fff:: 1fff:: 4000:: \
             5f00::1 fc00::1 fd00:ec2::254 fdff:: fe80::1 febf:: fec0::1 feff:: ff02::1 ff0e::1";
        for text in other.split_whitespace() {
            check(text, false);
        }
    }

    #[test]
    fn allowed_hosts_are_parsed() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, BadHost>) {
            let parsed = text.parse::<AllowedHost>().map(|host| host.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        }
        check("api.example.com", Ok("api.example.com"));
        check(" API.Example.com. ", Ok("api.example.com"));
        check("*.example.com", Ok("*.example.com"));
        check("*.example.com:8443", Ok("*.example.com:8443"));
        check("api.example.com:80", Ok("api.example.com:80"));
        check("bücher.example", Ok("xn--bcher-kva.example"));
        check("localhost", Ok("localhost"));
        check("0x8.8.8.8:53", Ok("8.8.8.8:53"));
        check("[2001:DB8::0:1]", Ok("[2001:db8::1]"));
        check("[2001:db8::1]:443", Ok("[2001:db8::1]:443"));
        for text in
            ["https://example.com", "example.com/", "example.com/a", "a@example.com", "a b", "a?b", "a#b"]
        {
            check(text, Err(BadHost::NotOnlyHost));
        }
        for text in ["*", "*example.com", "a.*.com", "*.*.com", "*.8.8.8.8", "*.[2001:db8::1]", "**"] {
            check(text, Err(BadHost::Star));
        }
        for text in ["a:", "a:0", "a:65536", "a:-1", "a:+1", "a:http", "[::1]:x"] {
            check(text, Err(BadHost::Port));
        }
        for text in
            ["", ".", "*.", "..", "a..b", ".a", ":80", "2001:db8::1:1", "[::1", "256.0.0.1", "a^b", "%"]
        {
            check(text, Err(BadHost::Host));
        }
    }
}
