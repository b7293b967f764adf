//! `lade health`: whether a server can do what it is asked, told by the exit code to what watches over it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use model::Error;
use model::error::{Context, Result};
use tokio::time::{Instant, sleep, timeout};

use crate::client::connector::Connector;
use crate::serve::{self, folder};
use crate::settings::{data_dir, variable};

const AGAIN: Duration = Duration::from_millis(200);

/// Options of `lade health`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade health
  lade health --live --endpoint-url https://lade.example")]
pub struct Args {
    /// Address of the server [default: AWS_ENDPOINT_URL, else the server that runs on the data folder]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// File with the authorities to trust where the address is https://… [default: AWS_CA_BUNDLE, else those that the
    /// system knows]
    #[arg(long, env = "LADE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Data folder of the running server [default: lade in the user's data folder]
    #[arg(long, env = "LADE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Ask only whether it lives, not whether its catalog and its store answer
    #[arg(long)]
    live: bool,

    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout_s: u64,

    /// Ask again for so many seconds, until it can: for what has to wait for a server that starts
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait_s: u64,
}

/// Exits with 0 when the server says that it can, with 1 when it says why not, or nothing.
pub fn run(args: &Args) -> ExitCode {
    match serve::runtime().and_then(|runtime| runtime.block_on(until_able(args))) {
        Ok(()) => {
            crate::say!("ok");
            ExitCode::SUCCESS
        }
        Err(error) => crate::failed(&error),
    }
}

async fn until_able(args: &Args) -> Result<()> {
    let (begun, wait) = (Instant::now(), Duration::from_secs(args.wait_s));
    loop {
        match ask(args).await {
            Err(_) if begun.elapsed() < wait => sleep(AGAIN).await,
            outcome => return outcome,
        }
    }
}

async fn ask(args: &Args) -> Result<()> {
    let (url, connector) = args.server()?;
    let url = format!("{url}{}", if args.live { serve::LIVE } else { serve::READY });
    let uri: Uri = url.parse().map_err(|_| Error::invalid(format!("{url} is no address")))?;
    let http: Http<Connector, Empty<Bytes>> = Http::builder(TokioExecutor::new()).build(connector);
    let asking = || format!("ask {url}");
    let answering = async {
        let answer = http.get(uri).await.unavailable(asking)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.unavailable(asking)?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
    };
    let silent = || Error::unavailable(format!("{url} gave no answer within {} s", args.timeout_s));
    let answered: Result<_> =
        timeout(Duration::from_secs(args.timeout_s), answering).await.map_err(|_| silent())?;
    match answered? {
        (status, _) if status.is_success() => Ok(()),
        (status, reason) => Err(Error::unavailable(format!("{url} says {}: {reason}", status.as_u16()))),
    }
}

impl Args {
    fn server(&self) -> Result<(String, Connector)> {
        let named = self.endpoint_url.clone();
        if let Some(url) = named.or_else(|| variable("AWS_ENDPOINT_URL").filter(|_| self.data_dir.is_none()))
        {
            let url = url.trim_end_matches('/').to_owned();
            if !url.starts_with("https://") {
                return Ok((url, Connector::default()));
            }
            let authorities = self.ca_file.clone().or_else(|| variable("AWS_CA_BUNDLE").map(PathBuf::from));
            return Ok((url, Connector::secure(authorities.as_deref())?));
        }
        let running = folder::running(&data_dir(self.data_dir.clone())?)?;
        // Its certificate names what others reach it by, and neither a key nor data is sent.
        let connector = if running.is_secure { Connector::unchecked()? } else { Connector::default() };
        Ok((folder::url(running.is_secure, &running.address), connector))
    }
}
