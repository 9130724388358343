//! The HTTP v1 interface of Firebase Cloud Messaging: a grant for a service account, then one request a message.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use hiroba_api::contract::UnixMillis;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::mobile::Push;
use super::notify;

/// What a grant permits.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// How long a grant is asked for, in seconds.
const GRANT_SECONDS: i64 = 3600;
/// A grant is renewed when it lasts no longer than this.
const GRANT_MARGIN: Duration = Duration::from_secs(60);
/// Grants that are remembered.
const GRANTS_MAX: usize = 1000;
/// Time for one request.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The device is not known any more: the app was removed.
    #[error("the device is not registered any more")]
    Unregistered,
    /// It may work later.
    #[error("{problem}")]
    Later {
        /// What happened.
        problem: String,
        /// When Firebase wants to be asked again.
        after: Option<Duration>,
    },
    /// It will not work later either.
    #[error("{0}")]
    Never(String),
}

impl Failure {
    fn later(error: &reqwest::Error) -> Failure {
        // Its own text may hold the URL; that is the settings', not the message's.
        Failure::Later { problem: error.to_string(), after: None }
    }
}

/// The members of a service account that are needed.
#[derive(Deserialize)]
struct ServiceAccount {
    project_id: String,
    client_email: String,
    private_key: String,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

#[derive(Debug, Clone)]
struct Grant {
    token: Arc<str>,
    ends_at: Instant,
}

/// A client of Firebase.
#[derive(Debug)]
pub(super) struct Fcm {
    /// Made by the first message: most servers send none.
    client: OnceLock<Client>,
    endpoint: String,
    token_endpoint: String,
    /// Grants by the hash of the service account.
    grants: Mutex<HashMap<Vec<u8>, Grant>>,
}

impl Fcm {
    pub(super) fn new(endpoint: &str, token_endpoint: &str) -> Fcm {
        Fcm {
            client: OnceLock::new(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token_endpoint: token_endpoint.to_owned(),
            grants: Mutex::default(),
        }
    }

    fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = client().map_err(|error| Failure::Never(format!("setting up HTTPS: {error:#}")))?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Sends one message.
    pub(super) async fn send(&self, push: &Push, now: UnixMillis) -> Result<(), Failure> {
        let Some((secret, project)) = notify::account(&push.namespace) else {
            return Err(Failure::Never("the namespace has no service account".to_owned()));
        };
        let account: ServiceAccount = serde_json::from_str(secret)
            .map_err(|error| Failure::Never(format!("the service account cannot be read: {error}")))?;
        let grant = self.grant(secret, &account, now).await?;
        let project = project.unwrap_or(&account.project_id);
        let url = format!("{}/v1/projects/{project}/messages:send", self.endpoint);
        let request = self.client()?.post(url).bearer_auth(&grant).json(&message(push));
        let response = request.send().await.map_err(|error| Failure::later(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body: Value = response.json().await.unwrap_or_default();
        let text = body["error"]["message"].as_str().unwrap_or_default();
        let problem = format!("Firebase answered {status} {text}");
        if status == StatusCode::UNAUTHORIZED {
            self.grants.lock().await.remove(&key(secret));
        }
        let details = body["error"]["details"].as_array().into_iter().flatten();
        if details.filter_map(|detail| detail["errorCode"].as_str()).any(|code| code == "UNREGISTERED") {
            return Err(Failure::Unregistered);
        }
        if status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::UNAUTHORIZED
            || status.is_server_error()
        {
            return Err(Failure::Later { problem, after: after.map(Duration::from_secs) });
        }
        Err(Failure::Never(problem))
    }

    /// A grant for the service account, remembered until shortly before its end.
    async fn grant(
        &self,
        secret: &str,
        account: &ServiceAccount,
        now: UnixMillis,
    ) -> Result<Arc<str>, Failure> {
        let key = key(secret);
        // Held while the grant is asked for, so that many messages at once ask for one.
        let mut grants = self.grants.lock().await;
        if let Some(grant) = grants.get(&key)
            && grant.ends_at.saturating_duration_since(Instant::now()) > GRANT_MARGIN
        {
            return Ok(Arc::clone(&grant.token));
        }
        let seconds = now.0 / 1000;
        let assertion = Assertion {
            iss: &account.client_email,
            scope: SCOPE,
            aud: &self.token_endpoint,
            iat: seconds,
            exp: seconds + GRANT_SECONDS,
        };
        let signing = EncodingKey::from_rsa_pem(account.private_key.as_bytes())
            .map_err(|error| Failure::Never(format!("the service account's private key: {error}")))?;
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &assertion, &signing)
            .map_err(|error| Failure::Never(format!("signing for a grant: {error}")))?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ];
        let response = self.client()?.post(&self.token_endpoint).form(&form).send().await;
        let response = response.map_err(|error| Failure::later(&error))?;
        let status = response.status();
        if !status.is_success() {
            let problem = format!("the grant was refused with {status}");
            let later = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            return Err(if later {
                Failure::Later { problem, after: None }
            } else {
                Failure::Never(problem)
            });
        }
        let granted: Granted = response.json().await.map_err(|error| Failure::later(&error))?;
        let token: Arc<str> = granted.access_token.into();
        let ends_at = Instant::now() + Duration::from_secs(granted.expires_in);
        if grants.len() >= GRANTS_MAX {
            grants.clear();
        }
        grants.insert(key, Grant { token: Arc::clone(&token), ends_at });
        Ok(token)
    }
}

fn client() -> anyhow::Result<Client> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder().use_preconfigured_tls(tls).timeout(REQUEST_TIME);
    Ok(client.redirect(reqwest::redirect::Policy::none()).build()?)
}

fn key(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}

/// The message in the form of the interface.
fn message(push: &Push) -> Value {
    let (title, body) = push.text();
    let notice = &push.notice;
    let mut message = json!({
        "token": push.device.token,
        "notification": { "title": title, "body": body },
        "data": { "issuer": notice.issuer, "subject": notice.subject, "payload": notice.payload },
    });
    if let Some(sound) = &notice.sound {
        message["android"] = json!({ "notification": { "sound": sound } });
        message["apns"] = json!({ "payload": { "aps": { "sound": sound } } });
    }
    json!({ "message": message })
}
