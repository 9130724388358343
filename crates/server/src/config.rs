//! The command line. Every flag has an environment variable of the same name with `HIROBA_` before it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// PostgreSQL database that replaces the embedded store: `postgres://user:password@host:port/database`.
    #[arg(long, env = "HIROBA_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
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
    /// Most connections at once, sockets included; further ones are closed at once.
    #[arg(long, env = "HIROBA_CONNECTIONS_MAX", default_value_t = 20_000)]
    pub connections_max: usize,
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
            database_url: None,
            region: "ap-northeast-1".to_owned(),
            owner_id: "hiroba".to_owned(),
            client_id: None,
            client_secret: None,
            tls_cert: None,
            tls_key: None,
            tls_dev: false,
            connections_max: 20_000,
            log_json: false,
            log: "info".to_owned(),
        }
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
