//! The `hiroba` program: reads the command line, starts the server, waits for the signal to stop; or prints a secret.

use clap::Parser;
use hiroba_server::app::{App, signing_secret};
use hiroba_server::clock::Clock;
use hiroba_server::config::{Command, CommandLine, Config};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    match CommandLine::parse().command {
        Command::Serve(config) => {
            start_log(&config)?;
            raise_open_files();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .max_blocking_threads(config.blocking_threads_max())
                .enable_all()
                .build()?;
            runtime.block_on(serve(*config))
        }
        Command::SigningSecret(wanted) => {
            start_log(&wanted.config)?;
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            let secret = runtime.block_on(signing_secret(&wanted.config, wanted.key_id.as_deref()))?;
            println!("{secret}");
            Ok(())
        }
    }
}

/// Logs go to standard error: standard output says only what the caller of the program waits for.
fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if config.log_json {
        log.json().init();
    } else {
        log.init();
    }
    Ok(())
}

/// Raises the number of open files to the most that is allowed: each connection is one, and many systems start programs
/// with 1,024.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current = limit.current, "the number of open files cannot be raised");
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = App::start(config.clone(), Clock::system()).await?;
    println!("hiroba ready on {}", app.url());
    let credential = app.credential();
    println!("owner id: {}", credential.owner_id);
    println!("client id: {}", credential.client_id);
    if app.credential_is_new() {
        println!("client secret: {} (also in {})", credential.client_secret, config.data_dir.display());
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    app.stop().await;
    Ok(())
}
