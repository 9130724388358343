//! GitHub: the content of one file at one state of a repository.
//!
//! <https://docs.github.com/rest/repos/contents#get-repository-content>

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;
use tokio::sync::Semaphore;

/// Time for one file, from the look-up of the name to the end of the answer, redirects included.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(20);
/// Files that are fetched at once: each may take 20 MiB of memory.
const FILES_MAX: usize = 4;
/// Redirects that are followed: GitHub makes one for a repository that was renamed.
const REDIRECTS_MAX: usize = 3;
/// Version of GitHub's interface.
const API_VERSION: &str = "2022-11-28";
/// Asks for the file as it is, instead of base64 of it in JSON.
const RAW: &str = "application/vnd.github.raw+json";
/// Bytes that are read of a refusal; it has a few hundred.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Characters of GitHub's own words that are passed on.
const PROBLEM_CHARS_MAX: usize = 300;
/// Bytes of the longest character.
const CHAR_BYTES_MAX: usize = 4;

/// Which file at which state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    /// Who has the repository.
    pub(crate) owner: &'a str,
    /// Name of the repository.
    pub(crate) repository: &'a str,
    /// Path of the file, without a slash in front; no part of it is empty, `.` or `..`.
    pub(crate) path: &'a str,
    /// `refs/heads/…`, `refs/tags/…` or a commit.
    pub(crate) reference: &'a str,
}

/// Why there is no file. Texts hold no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// GitHub does not accept the key, or not for this repository: its words.
    Refused(String),
    /// There is no such repository, state or file, or the key does not see it: GitHub's words.
    Missing(String),
    /// What is there is a folder or a submodule.
    NoFile,
    /// The file has more characters than asked for.
    TooLong,
    /// The file is not UTF-8.
    NoText,
    /// Too much was asked; after so many seconds it may be asked again, if GitHub said so.
    Wait(Option<u64>),
    /// There was no complete answer in time.
    Late,
    /// GitHub could not be reached, or failed.
    Failed(String),
}

/// A client of GitHub.
#[derive(Debug)]
pub(crate) struct GitHub {
    client: Client,
    url: Url,
    timeout: Duration,
    at_once: Semaphore,
}

impl GitHub {
    /// Makes a client, and connects to nothing yet. It fails where the endpoint is no plain HTTP or HTTPS URL.
    pub(crate) fn new(endpoint: &str, timeout: Duration) -> anyhow::Result<GitHub> {
        // The URL may hold a password by mistake, and stays out of these texts.
        let url = Url::parse(endpoint).context("the GitHub URL is no URL")?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        ensure!(matches!(url.scheme(), "http" | "https"), "the GitHub URL is no HTTP or HTTPS URL");
        ensure!(plain, "the GitHub URL may have no user, password or query");
        Ok(GitHub { client: super::client()?.build()?, url, timeout, at_once: Semaphore::new(FILES_MAX) })
    }

    /// The content of a file of at most so many characters, asked for with this key.
    pub(crate) async fn fetch(&self, file: File<'_>, key: &str, chars_max: usize) -> Result<String, Problem> {
        let fetched = async {
            let _permit = self.at_once.acquire().await.map_err(|_| Problem::Late)?;
            let response = self.ask(file, key).await?;
            text(self.read(response, chars_max * CHAR_BYTES_MAX).await?, chars_max)
        };
        tokio::time::timeout(self.timeout, fetched).await.unwrap_or(Err(Problem::Late))
    }

    fn address(&self, file: File<'_>) -> Result<Url, Problem> {
        let mut url = self.url.clone();
        let mut segments =
            url.path_segments_mut().map_err(|()| Problem::Failed("the GitHub URL has no path".to_owned()))?;
        segments.pop_if_empty().extend(["repos", file.owner, file.repository, "contents"]);
        segments.extend(file.path.split('/'));
        drop(segments);
        url.query_pairs_mut().append_pair("ref", file.reference);
        Ok(url)
    }

    /// The answer that holds the file. Redirects are followed on the same server only: another one must not get the key.
    async fn ask(&self, file: File<'_>, key: &str) -> Result<Response, Problem> {
        let mut url = self.address(file)?;
        let headers = headers(key)?;
        for _ in 0..=REDIRECTS_MAX {
            let request = self.client.get(url.clone()).headers(headers.clone());
            let response = request.send().await.map_err(failed)?;
            let status = response.status();
            if status == StatusCode::OK {
                // A folder is answered as a JSON list of what is in it, whatever was asked for.
                let is_file = !response.headers().get(CONTENT_TYPE).is_some_and(is_json);
                return if is_file { Ok(response) } else { Err(Problem::NoFile) };
            }
            if !status.is_redirection() {
                return Err(self.refusal(response, key).await);
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            match location.and_then(|location| url.join(location).ok()) {
                Some(next) if next.origin() == self.url.origin() => url = next,
                Some(_) => return Err(Problem::Failed("GitHub redirects to another server".to_owned())),
                None => {
                    return Err(Problem::Failed(format!("GitHub answered {status} without a place to go")));
                }
            }
        }
        Err(Problem::Failed("GitHub redirects again and again".to_owned()))
    }

    /// What an answer that is no file means.
    async fn refusal(&self, response: Response, key: &str) -> Problem {
        let status = response.status();
        let number = |name: &str| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
        let wait = number(RETRY_AFTER.as_str());
        let exhausted = number("x-ratelimit-remaining") == Some(0);
        let body = self.read(response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let words = told(&body, key);
        match status {
            StatusCode::TOO_MANY_REQUESTS => Problem::Wait(wait),
            StatusCode::FORBIDDEN if wait.is_some() || exhausted => Problem::Wait(wait),
            StatusCode::FORBIDDEN if has_code(&body, "too_large") => Problem::TooLong,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::Refused(words),
            // 422 is its answer to a commit that is none.
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Problem::Missing(words),
            _ => Problem::Failed(format!("GitHub answered {status} {words}").trim_end().to_owned()),
        }
    }

    /// The answer's body. It is counted as it is read and after it is decompressed: a small body may become a huge one.
    async fn read(&self, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if chunk.len() > bytes_max - body.len() {
                return Err(Problem::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn headers(key: &str) -> Result<HeaderMap, Problem> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|_| Problem::Refused("the key holds characters that no header may".to_owned()))?;
    // Out of every log of the client.
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static(RAW));
    headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
    // GitHub refuses requests that do not say who asks.
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("hiroba/", env!("CARGO_PKG_VERSION"))));
    Ok(headers)
}

fn is_json(content_type: &HeaderValue) -> bool {
    content_type
        .to_str()
        .is_ok_and(|text| text.split(';').next().unwrap_or_default().trim() == "application/json")
}

fn failed(error: reqwest::Error) -> Problem {
    Problem::Failed(format!("GitHub: {}", super::cause(error)))
}

fn text(body: Vec<u8>, chars_max: usize) -> Result<String, Problem> {
    let text = String::from_utf8(body).map_err(|_| Problem::NoText)?;
    if text.len() > chars_max && text.chars().count() > chars_max { Err(Problem::TooLong) } else { Ok(text) }
}

fn has_code(body: &[u8], code: &str) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["errors"].as_array().is_some_and(|errors| errors.iter().any(|error| error["code"] == code))
}

/// GitHub's words, fit for a caller: one line of them, without the key.
fn told(body: &[u8], key: &str) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = body["message"].as_str().unwrap_or_default().replace(key, "…");
    words.lines().next().unwrap_or_default().trim_end().chars().take(PROBLEM_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::stand_in::{self, Received, answer};
    use super::*;

    const FILE: File<'_> =
        File { owner: "them", repository: "game.x", path: "a b/ü%/c?.lua", reference: "refs/heads/x/y" };
    const CHARS_MAX: usize = 100;
    const RAW_TYPE: &str = "content-type: application/vnd.github.raw+json; charset=utf-8\r\n";

    fn git_hub(endpoint: &str) -> GitHub {
        GitHub::new(endpoint, REQUEST_TIME).unwrap()
    }

    async fn fetch(answer: Vec<u8>) -> (Result<String, Problem>, Received) {
        let (address, mut received) = stand_in::start(answer).await;
        let fetched = git_hub(&format!("http://{address}/api/v3/")).fetch(FILE, "sesame", CHARS_MAX).await;
        (fetched, received.try_recv().unwrap())
    }

    #[tokio::test]
    async fn a_file_is_fetched() {
        let (fetched, received) = fetch(answer(200, RAW_TYPE, "-- é\n".as_bytes())).await;
        assert_eq!(fetched, Ok("-- é\n".to_owned()));
        let target = "/api/v3/repos/them/game.x/contents/a%20b/%C3%BC%25/c%3F.lua?ref=refs%2Fheads%2Fx%2Fy";
        assert!(received.head.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{}", received.head);
        assert_eq!(received.header("authorization"), Some("Bearer sesame"));
        assert_eq!(received.header("accept"), Some(RAW));
        assert_eq!(received.header("x-github-api-version"), Some(API_VERSION));
        assert!(received.header("user-agent").unwrap().starts_with("hiroba/"));
    }

    #[tokio::test]
    async fn what_is_no_text_of_this_size() {
        let content = async |content: &[u8]| fetch(answer(200, RAW_TYPE, content)).await.0;
        assert_eq!(content("é".repeat(CHARS_MAX).as_bytes()).await.unwrap().chars().count(), CHARS_MAX);
        assert_eq!(content("é".repeat(CHARS_MAX + 1).as_bytes()).await, Err(Problem::TooLong));
        assert_eq!(content(&vec![b'a'; CHARS_MAX * CHAR_BYTES_MAX + 1]).await, Err(Problem::TooLong));
        assert_eq!(content(b"\xff").await, Err(Problem::NoText));
        assert_eq!(content(b"").await, Ok(String::new()));
        let json = "content-type: application/json; charset=utf-8\r\n";
        assert_eq!(fetch(answer(200, json, b"[]")).await.0, Err(Problem::NoFile));
    }

    #[tokio::test]
    async fn refusals() {
        let refused = async |status, headers: &str, body: &str| {
            fetch(answer(status, headers, body.as_bytes())).await.0.unwrap_err()
        };
        let words = r#"{"message":"no sesame\nhere"}"#;
        assert_eq!(refused(401, "", words).await, Problem::Refused("no …".to_owned()));
        assert_eq!(
            refused(403, "x-ratelimit-remaining: 1\r\n", words).await,
            Problem::Refused("no …".to_owned())
        );
        assert_eq!(refused(403, "x-ratelimit-remaining: 0\r\n", words).await, Problem::Wait(None));
        assert_eq!(refused(403, "retry-after: 60\r\n", words).await, Problem::Wait(Some(60)));
        assert_eq!(refused(429, "", "").await, Problem::Wait(None));
        let large = r#"{"message":"large","errors":[{"code":"too_large"}]}"#;
        assert_eq!(refused(403, "", large).await, Problem::TooLong);
        assert_eq!(
            refused(404, "", r#"{"message":"Not Found"}"#).await,
            Problem::Missing("Not Found".to_owned())
        );
        assert_eq!(refused(422, "", "").await, Problem::Missing(String::new()));
        assert_eq!(
            refused(500, "", "x").await,
            Problem::Failed("GitHub answered 500 Internal Server Error".to_owned())
        );
        assert_eq!(refused(204, "", "").await, Problem::Failed("GitHub answered 204 No Content".to_owned()));
    }

    #[tokio::test]
    async fn redirects_stay_on_the_server() {
        // Each is answered with the same redirect.
        let again = answer(301, "location: /elsewhere\r\n", b"");
        let (address, mut received) = stand_in::start(again).await;
        let fetched = git_hub(&format!("http://{address}")).fetch(FILE, "sesame", CHARS_MAX).await;
        assert_eq!(fetched, Err(Problem::Failed("GitHub redirects again and again".to_owned())));
        assert!(received.try_recv().unwrap().head.starts_with("GET /repos/"));
        assert!(received.try_recv().unwrap().head.starts_with("GET /elsewhere "));

        let (other, mut reached) = stand_in::start(answer(200, RAW_TYPE, b"x")).await;
        let away = answer(302, &format!("location: http://{other}/\r\n"), b"");
        let another = Problem::Failed("GitHub redirects to another server".to_owned());
        assert_eq!(fetch(away).await.0, Err(another));
        assert!(reached.try_recv().is_err(), "the key went to another server");
        assert!(matches!(fetch(answer(304, "", b"")).await.0, Err(Problem::Failed(_))));
    }

    #[tokio::test]
    async fn nobody_answers() {
        // The port was free a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let fetched = git_hub(&format!("http://{address}")).fetch(FILE, "sesame", CHARS_MAX).await;
        assert!(matches!(&fetched, Err(Problem::Failed(words)) if words.contains("refused")), "{fetched:?}");

        let (address, _received) = stand_in::start_stuck(answer(200, RAW_TYPE, b"abc")[..80].to_vec()).await;
        let git_hub = GitHub::new(&format!("http://{address}"), Duration::from_millis(50)).unwrap();
        assert_eq!(git_hub.fetch(FILE, "sesame", CHARS_MAX).await, Err(Problem::Late));
    }

    #[test]
    fn endpoints() {
        for wrong in ["", "github", "ftp://x", "https://user@x", "https://x/?a"] {
            assert!(GitHub::new(wrong, REQUEST_TIME).is_err(), "{wrong}");
        }
        git_hub("https://api.github.com");
    }
}
