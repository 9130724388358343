//! AWS Signature Version 4: the headers that prove to an AWS service who sends a request.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. S3 encodes paths in
//! its own way, which is not done here.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Everything but the unreserved characters of RFC 3986 is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a whole path, whose separators stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// An access key of AWS.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// Names the key; not secret.
    pub(crate) access_key_id: String,
    /// Signs; secret.
    pub(crate) secret_access_key: String,
    /// Comes with keys that end by themselves; secret.
    pub(crate) session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings are logged at start; secrets must not be.
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What is signed of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsigned<'a> {
    /// In capitals.
    pub(crate) method: &'a str,
    /// As in the `Host` header, with the port where the scheme does not imply it.
    pub(crate) host: &'a str,
    /// As sent, without `.` and `..` segments.
    pub(crate) path: &'a str,
    /// Names and values before they are encoded, in any order.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// The headers that the signature shall cover, each name once; `host` and the added ones come by themselves.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// As sent.
    pub(crate) body: &'a [u8],
}

/// Who signs, for what, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signer<'a> {
    /// The key.
    pub(crate) credentials: &'a Credentials,
    /// Such as `eu-central-1`.
    pub(crate) region: &'a str,
    /// Such as `events`.
    pub(crate) service: &'a str,
    /// Now, in seconds since 1970; AWS accepts a few minutes of difference.
    pub(crate) now_seconds: i64,
}

/// The headers to add to the request, with names in lower case.
pub(crate) fn sign(request: &Unsigned<'_>, signer: &Signer<'_>) -> Vec<(&'static str, String)> {
    let Signer { credentials, region, service, now_seconds } = *signer;
    let time = timestamp(now_seconds);
    let date = &time[..8];

    let mut added = vec![("x-amz-date", time.clone())];
    added.extend(credentials.session_token.clone().map(|token| ("x-amz-security-token", token)));
    let (canonical, signed_headers) = canonical(request, &added);

    let scope = format!("{date}/{region}/{service}/aws4_request");
    let hash = sha256(canonical.as_bytes());
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hash}");
    let key = signing_key(&credentials.secret_access_key, date, region, service);
    let signature = HEXLOWER.encode(hmac(key.as_ref(), &to_sign).as_ref());

    let id = &credentials.access_key_id;
    let authorization =
        format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed_headers}, Signature={signature}");
    added.push(("authorization", authorization));
    added
}

/// The request in the one form that both sides hash, and the names of the headers in it.
fn canonical(request: &Unsigned<'_>, added: &[(&'static str, String)]) -> (String, String) {
    let Unsigned { method, host, path, query, headers, body } = *request;
    let given = headers.iter().copied();
    let added = added.iter().map(|(name, value)| (*name, value.as_str()));
    let headers: BTreeMap<String, String> = given
        .chain(added)
        .chain([("host", host)])
        .map(|(name, value)| (name.to_ascii_lowercase(), words(value)))
        .collect();
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();

    let encode = |text| utf8_percent_encode(text, RESERVED).to_string();
    let mut query: Vec<_> = query.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    query.sort();
    let query = query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");

    // The path is encoded once more on top of how it was sent; every service but S3 expects this.
    let path = utf8_percent_encode(path, RESERVED_IN_PATH);
    let hash = sha256(body);
    (format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{hash}"), names)
}

/// A header's value without spaces around it, and with single ones inside.
fn words(value: &str) -> String {
    value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The key for one day, region and service.
fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> hmac::Tag {
    let key = hmac(format!("AWS4{secret}").as_bytes(), date);
    let key = hmac(key.as_ref(), region);
    let key = hmac(key.as_ref(), service);
    hmac(key.as_ref(), "aws4_request")
}

fn hmac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// `YYYYMMDDTHHMMSSZ` of a time in seconds since 1970; an earlier time counts as 1970.
fn timestamp(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);

    // Years that begin in March, so that the leap day is the last one, in eras of 400 years, which are all alike.
    // <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moment of AWS's examples, 20150830T123600Z.
    const EXAMPLE_SECONDS: i64 = 1_440_938_160;
    const VANILLA: Unsigned<'static> = Unsigned {
        method: "GET",
        host: "example.amazonaws.com",
        path: "/",
        query: &[],
        headers: &[],
        body: b"",
    };

    fn example_credentials() -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        }
    }

    fn example(service: &str, request: &Unsigned<'_>) -> String {
        let credentials = &example_credentials();
        let signer = Signer { credentials, region: "us-east-1", service, now_seconds: EXAMPLE_SECONDS };
        let mut added = sign(request, &signer);
        assert_eq!(added.remove(0), ("x-amz-date", "20150830T123600Z".to_owned()));
        let [(name, authorization)] = added.try_into().unwrap();
        assert_eq!(name, "authorization");
        authorization
    }

    /// An example of AWS's test suite.
    #[track_caller]
    fn check(request: &Unsigned<'_>, signature: &str) {
        let authorization = example("service", request);
        assert_eq!(authorization.rsplit('=').next(), Some(signature), "{authorization}");
    }

    #[test]
    fn iam_list_users() {
        let request = Unsigned {
            host: "iam.amazonaws.com",
            query: &[("Action", "ListUsers"), ("Version", "2010-05-08")],
            headers: &[("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")],
            ..VANILLA
        };
        assert_eq!(
            example("iam", &request),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn key_of_the_day() {
        let key = signing_key(&example_credentials().secret_access_key, "20150830", "us-east-1", "iam");
        let expected = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(HEXLOWER.encode(key.as_ref()), expected);
    }

    #[test]
    fn vanilla() {
        check(&VANILLA, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        let post = Unsigned { method: "POST", ..VANILLA };
        check(&post, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    }

    #[test]
    fn query_is_sorted() {
        let request = Unsigned { query: &[("Param2", "value2"), ("Param1", "value1")], ..VANILLA };
        check(&request, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    }

    #[test]
    fn query_and_path_are_encoded() {
        let query: &[_] = &[("q", "a b&c=/~ü")];
        let (canonical, _) = canonical(&Unsigned { path: "/a%20b/c", query, ..VANILLA }, &[]);
        assert!(canonical.starts_with("GET\n/a%2520b/c\nq=a%20b%26c%3D%2F~%C3%BC\nhost:"), "{canonical}");
    }

    #[test]
    fn header_values_are_trimmed() {
        let headers: &[_] = &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")];
        let request = Unsigned { headers, ..VANILLA };
        check(&request, "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
    }

    #[test]
    fn body_is_signed() {
        let request = Unsigned {
            method: "POST",
            headers: &[("content-type", "application/x-www-form-urlencoded")],
            body: b"Param1=value1",
            ..VANILLA
        };
        check(&request, "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
    }

    #[test]
    fn session_token_is_signed() {
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmx\
                     fpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0K\
                     PkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZb\
                     qBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let credentials = &Credentials { session_token: Some(token.to_owned()), ..example_credentials() };
        let signer =
            Signer { credentials, region: "us-east-1", service: "service", now_seconds: EXAMPLE_SECONDS };
        let added = sign(&Unsigned { method: "POST", ..VANILLA }, &signer);
        assert_eq!(added[1], ("x-amz-security-token", token.to_owned()));
        assert_eq!(
            added[2].1,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-security-token, \
             Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
        );
    }

    #[test]
    fn timestamps() {
        #[track_caller]
        fn check(seconds: i64, expected: &str) {
            assert_eq!(timestamp(seconds), expected);
        }
        check(0, "19700101T000000Z");
        check(-1, "19700101T000000Z");
        check(951_782_399, "20000228T235959Z");
        check(951_782_400, "20000229T000000Z");
        check(951_868_800, "20000301T000000Z");
        check(EXAMPLE_SECONDS, "20150830T123600Z");
        check(1_767_225_599, "20251231T235959Z");
        check(1_767_225_600, "20260101T000000Z");
        check(4_107_542_399, "21000228T235959Z");
        check(4_107_542_400, "21000301T000000Z");
    }

    #[test]
    fn secrets_are_not_shown() {
        let credentials = Credentials { session_token: Some("token".to_owned()), ..example_credentials() };
        assert_eq!(format!("{credentials:?}"), "Credentials { access_key_id: \"AKIDEXAMPLE\", .. }");
    }
}
