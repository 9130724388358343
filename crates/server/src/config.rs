//! The command line. Every flag has an environment variable of the same name with `HIROBA_` before it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use crate::outbound::web::AllowedHost;

/// Runs of scripts that calls may have going at the same time, those inside of others not counted.
pub(crate) const RUNS_MAX: usize = 64;
/// Threads for everything else that blocks, such as hashing passwords.
const BLOCKING_OTHERS: usize = 64;

/// An open game-backend server for the official GS2 SDKs.
#[derive(Debug, Parser)]
#[command(name = "hiroba", version)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the server until SIGTERM or SIGINT.
    Serve(Box<Config>),
    /// Prints the secret with which a key signs, for a program that signs bodies for `loginBySignature` itself. Who has it
    /// signs in as every player. Takes the settings of the server; with the embedded store the server must be stopped.
    SigningSecret(Box<SigningSecret>),
}

/// Which key, of which server.
#[derive(Debug, Args)]
pub struct SigningSecret {
    /// GRN of the key; `grn:gs2:{region}:{ownerId}:key:default:key:default` when not given.
    #[arg(long)]
    pub key_id: Option<String>,
    /// Settings of the server.
    #[command(flatten)]
    pub config: Config,
}

/// Settings of the server.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env = "HIROBA_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Folder of the embedded store and of the files that the server keeps.
    #[arg(long, env = "HIROBA_DATA_DIR", default_value = "./hiroba-data")]
    pub data_dir: PathBuf,
    /// Master key in place of the file: 64 hexadecimal digits; older keys that only open may follow after commas. Better set
    /// the environment variable or a file: others see the arguments of a program.
    #[arg(long, env = "HIROBA_MASTER_KEY", hide_env_values = true)]
    pub master_key: Option<Hidden>,
    /// File of the master key, one key a line, the current one first; made at first start. `master.key` in the data folder
    /// when not given.
    #[arg(long, env = "HIROBA_MASTER_KEY_FILE", conflicts_with = "master_key")]
    pub master_key_file: Option<PathBuf>,
    /// PostgreSQL database that replaces the embedded store: `postgres://user:password@host:port/database`.
    #[arg(long, env = "HIROBA_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// NATS server that links the nodes on one PostgreSQL database: `nats://host:4222`, several with commas between.
    #[arg(long, env = "HIROBA_NATS_URL", hide_env_values = true, requires = "database_url")]
    pub nats_url: Option<String>,
    /// Region in the GRNs that the server makes.
    #[arg(long, env = "HIROBA_REGION", default_value = "ap-northeast-1", value_parser = grn_part)]
    pub region: String,
    /// Owner id of the project.
    #[arg(long, env = "HIROBA_OWNER_ID", default_value = "hiroba", value_parser = grn_part)]
    pub owner_id: String,
    /// Client id of the administrator's credential; made at first start when not given.
    #[arg(long, env = "HIROBA_CLIENT_ID", requires = "client_secret")]
    pub client_id: Option<String>,
    /// Client secret of the administrator's credential.
    #[arg(long, env = "HIROBA_CLIENT_SECRET", hide_env_values = true, requires = "client_id")]
    pub client_secret: Option<String>,
    /// Certificate chain for TLS, a PEM file.
    #[arg(long, env = "HIROBA_TLS_CERT", requires = "tls_key", conflicts_with = "tls_dev")]
    pub tls_cert: Option<PathBuf>,
    /// Private key for TLS, a PEM file.
    #[arg(long, env = "HIROBA_TLS_KEY", hide_env_values = true, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve TLS with a certificate for `localhost` that the server makes and keeps in the data folder.
    #[arg(long, env = "HIROBA_TLS_DEV")]
    pub tls_dev: bool,
    /// URL under which callers reach the server, such as `https://game.example.com`; stands in the URLs that it answers. When
    /// not given, what the caller's request says.
    #[arg(long, env = "HIROBA_PUBLIC_URL", value_parser = http_url)]
    pub public_url: Option<String>,
    /// Store that speaks S3 for files of user data, in place of the data folder: scheme, host and port, such as
    /// `https://s3.eu-central-1.amazonaws.com`. Needed where several nodes serve one database.
    #[arg(long, env = "HIROBA_S3_URL", value_parser = http_url, requires = "s3_bucket")]
    pub s3_url: Option<String>,
    /// Bucket for the files.
    #[arg(long, env = "HIROBA_S3_BUCKET", requires = "s3_url")]
    pub s3_bucket: Option<String>,
    /// Region of the bucket, as its store calls it.
    #[arg(long, env = "HIROBA_S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,
    /// Access key that may read, write and delete objects of the bucket.
    #[arg(long, env = "HIROBA_S3_ACCESS_KEY_ID", requires = "s3_secret_access_key")]
    pub s3_access_key_id: Option<String>,
    /// Secret of the access key. Better set the environment variable: others see the arguments of a program.
    #[arg(long, env = "HIROBA_S3_SECRET_ACCESS_KEY", hide_env_values = true, requires = "s3_access_key_id")]
    pub s3_secret_access_key: Option<Hidden>,
    /// Bytes of a file of user data that may be uploaded.
    #[arg(long, env = "HIROBA_USER_DATA_UPLOAD_BYTES_MAX", default_value_t = 1 << 30, value_parser = clap::value_parser!(u64).range(1..=0xffff_fffe))]
    pub user_data_upload_bytes_max: u64,
    /// Most connections at once, sockets included; further ones are closed at once.
    #[arg(long, env = "HIROBA_CONNECTIONS_MAX", default_value_t = 20_000)]
    pub connections_max: usize,
    /// Where mobile notifications are sent, an instance of Firebase Cloud Messaging.
    #[arg(long, env = "HIROBA_FIREBASE_ENDPOINT", default_value = "https://fcm.googleapis.com")]
    pub firebase_endpoint: String,
    /// Where grants for mobile notifications come from; the service account's own `token_uri` is not looked at.
    #[arg(
        long,
        env = "HIROBA_FIREBASE_TOKEN_ENDPOINT",
        default_value = "https://oauth2.googleapis.com/token"
    )]
    pub firebase_token_endpoint: String,
    /// Sockets that one player may have in one Gateway namespace.
    #[arg(long, env = "HIROBA_PLAYER_SOCKETS_MAX", default_value_t = 100)]
    pub player_sockets_max: usize,
    /// Bytes of notifications that may wait for one socket; beyond that it is closed.
    #[arg(long, env = "HIROBA_SOCKET_QUEUE_BYTES_MAX", default_value_t = 1 << 20)]
    pub socket_queue_bytes_max: usize,
    /// Seconds between two pings to a socket.
    #[arg(long, env = "HIROBA_SOCKET_PING_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub socket_ping_seconds: u64,
    /// Seconds without a frame, answers to pings included, after which a socket is closed.
    #[arg(long, env = "HIROBA_SOCKET_SILENCE_SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub socket_silence_seconds: u64,
    /// Entries of logs that may wait to be written; further ones are dropped and counted.
    #[arg(long, env = "HIROBA_LOG_QUEUE_ENTRIES_MAX", default_value_t = 50_000)]
    pub log_queue_entries_max: usize,
    /// Bytes of entries of logs that may wait to be written; further ones are dropped and counted.
    #[arg(long, env = "HIROBA_LOG_QUEUE_BYTES_MAX", default_value_t = 64 << 20)]
    pub log_queue_bytes_max: usize,
    /// Collector of OpenTelemetry that a span of each call is sent to, by OTLP over HTTP: `http://localhost:4318`.
    #[cfg(feature = "otel")]
    #[arg(long, env = "HIROBA_OTLP_ENDPOINT", value_parser = http_url)]
    pub otlp_endpoint: Option<String>,
    /// Seconds that one run of a script may take, waiting for its calls included.
    #[arg(long, env = "HIROBA_SCRIPT_SECONDS_MAX", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub script_seconds_max: u64,
    /// Milliseconds that a script may take which is part of a transaction whose actions take effect together, waiting for its
    /// calls included: others wait for the transaction meanwhile.
    #[arg(long, env = "HIROBA_ATOMIC_SCRIPT_MS_MAX", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub atomic_script_ms_max: u64,
    /// MiB of memory that one run of a script may take.
    #[arg(long, env = "HIROBA_SCRIPT_MEMORY_MIB_MAX", default_value_t = 128)]
    pub script_memory_mib_max: usize,
    /// Bytes that one run of a script may print.
    #[arg(long, env = "HIROBA_SCRIPT_OUTPUT_BYTES_MAX", default_value_t = 1 << 20)]
    pub script_output_bytes_max: usize,
    /// Scripts that may run inside each other: a script's call whose trigger is a script, and so on.
    #[arg(long, env = "HIROBA_SCRIPT_DEPTH_MAX", default_value_t = 8)]
    pub script_depth_max: u8,
    /// Hosts that scripts may reach with `http`: `api.example.com`, `*.example.com`, `api.example.com:8443`; several with
    /// commas between. None unless given, and never one at a private address.
    #[arg(long, env = "HIROBA_SCRIPT_HTTP_ALLOW", value_delimiter = ',')]
    pub script_http_allow: Vec<AllowedHost>,
    /// Whether scripts may reach loopback addresses: in tests, which have no other network.
    #[arg(skip)]
    pub script_http_loopback: bool,
    /// Threads that may run jobs at once; those that wait for a call included.
    #[arg(long, env = "HIROBA_JOB_THREADS_MAX", default_value_t = 64)]
    pub job_threads_max: usize,
    /// Where the `aws` done triggers deliver; EventBridge of the region when not given.
    #[arg(long, env = "HIROBA_EVENTBRIDGE_ENDPOINT")]
    pub eventbridge_endpoint: Option<String>,
    /// Region of Amazon EventBridge.
    #[arg(long, env = "AWS_REGION", default_value = "ap-northeast-1")]
    pub eventbridge_region: String,
    /// Event bus of the `aws` done triggers.
    #[arg(long, env = "HIROBA_EVENTBRIDGE_BUS", default_value = "default")]
    pub eventbridge_bus: String,
    /// Access key that signs for Amazon EventBridge.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", requires = "aws_secret_access_key")]
    pub aws_access_key_id: Option<String>,
    /// Secret of the access key.
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true, requires = "aws_access_key_id")]
    pub aws_secret_access_key: Option<String>,
    /// Token of temporary credentials.
    #[arg(long, env = "AWS_SESSION_TOKEN", hide_env_values = true)]
    pub aws_session_token: Option<String>,
    /// Where files are fetched that settings name in a repository of GitHub: its REST interface, also that of GitHub Enterprise,
    /// `https://github.example.com/api/v3`.
    #[arg(long, env = "HIROBA_GITHUB_URL", default_value = "https://api.github.com", value_parser = http_url)]
    pub github_url: String,
    /// Log lines as JSON objects.
    #[arg(long, env = "HIROBA_LOG_JSON")]
    pub log_json: bool,
    /// What to log, in the syntax of `tracing`: `info`, `hiroba_server=debug`.
    #[arg(long, env = "HIROBA_LOG", default_value = "info")]
    pub log: String,
}

impl Config {
    /// The defaults, for a server inside a test.
    pub fn new(data_dir: impl Into<PathBuf>) -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: data_dir.into(),
            master_key: None,
            master_key_file: None,
            database_url: None,
            nats_url: None,
            region: "ap-northeast-1".to_owned(),
            owner_id: "hiroba".to_owned(),
            client_id: None,
            client_secret: None,
            tls_cert: None,
            tls_key: None,
            tls_dev: false,
            public_url: None,
            s3_url: None,
            s3_bucket: None,
            s3_region: "us-east-1".to_owned(),
            s3_access_key_id: None,
            s3_secret_access_key: None,
            user_data_upload_bytes_max: 1 << 30,
            connections_max: 20_000,
            firebase_endpoint: "https://fcm.googleapis.com".to_owned(),
            firebase_token_endpoint: "https://oauth2.googleapis.com/token".to_owned(),
            player_sockets_max: 100,
            #[cfg(feature = "otel")]
            otlp_endpoint: None,
            log_queue_entries_max: 50_000,
            log_queue_bytes_max: 64 << 20,
            socket_queue_bytes_max: 1 << 20,
            socket_ping_seconds: 30,
            socket_silence_seconds: 90,
            script_seconds_max: 10,
            atomic_script_ms_max: 1000,
            script_memory_mib_max: 128,
            script_output_bytes_max: 1 << 20,
            script_depth_max: 8,
            script_http_allow: Vec::new(),
            script_http_loopback: false,
            job_threads_max: 64,
            eventbridge_endpoint: None,
            eventbridge_region: "ap-northeast-1".to_owned(),
            eventbridge_bus: "default".to_owned(),
            aws_access_key_id: None,
            aws_secret_access_key: None,
            aws_session_token: None,
            github_url: "https://api.github.com".to_owned(),
            log_json: false,
            log: "info".to_owned(),
        }
    }
}

impl Config {
    /// Threads that may block at once. Scripts that wait for inner ones must never keep those from getting a thread.
    pub fn blocking_threads_max(&self) -> usize {
        (RUNS_MAX + self.job_threads_max) * usize::from(self.script_depth_max.max(1)) + BLOCKING_OTHERS
    }
}

/// A setting that no log shows.
#[derive(Clone)]
pub struct Hidden(String);

impl From<String> for Hidden {
    fn from(text: String) -> Hidden {
        Hidden(text)
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("hidden")
    }
}

impl Hidden {
    /// What was given.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// An `http` or `https` URL, without the slashes at its end.
fn http_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let wrong = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#');
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.bytes().any(wrong) => {
            Ok(url.to_owned())
        }
        _ => Err("must be a URL such as `https://game.example.com`, without query".to_owned()),
    }
}

/// A part of a GRN: letters, digits, `-`, `_` and `.`, at most 128.
fn grn_part(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 128 || !text.bytes().all(allowed) {
        return Err("must have 1 to 128 letters, digits, `-`, `_` or `.`".to_owned());
    }
    if text == hiroba_api::grn::SYSTEM_OWNER {
        return Err("`system` is the owner of what is built in".to_owned());
    }
    Ok(text.to_owned())
}
