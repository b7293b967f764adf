//! `lade env`: points the AWS clients of a shell, or a named profile, to the server that runs on a data folder.

mod profile;
mod script;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use model::Error;
use model::error::Result;
use serde_json::json;

use crate::say_text;
use crate::serve::folder::{self, Running};
use crate::settings::{data_dir, variable};

/// Options of `lade env`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  eval \"$(lade env)\"
  eval \"$(lade env --undo)\"
  lade env --profile lade
  lade env --data-dir ./data --json")]
pub struct Args {
    /// Data folder of the running server [default: lade in the user's data folder]
    #[arg(long, env = "LADE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Print the lines that bring back what was set before
    #[arg(long, conflicts_with = "profile")]
    undo: bool,

    /// Print all that a client needs as JSON, the secret key among it
    #[arg(long, conflicts_with_all = ["undo", "profile"])]
    json: bool,

    /// Write a profile of this name to the AWS files instead
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// What AWS clients need to know.
pub struct Client {
    pub url: String,
    /// Host without port, for the list of hosts that no proxy is asked for.
    pub host: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// The file with whom to trust, where clients don't by themselves.
    pub ca_bundle: Option<String>,
}

impl Client {
    fn json(&self) -> String {
        let Client { url, host, region, access_key_id, secret_access_key, ca_bundle } = self;
        let told = json!({
            "endpointUrl": url, "host": host, "region": region, "accessKeyId": access_key_id,
            "secretAccessKey": secret_access_key, "caBundle": ca_bundle,
        });
        format!("{told}\n")
    }
}

/// Prints lines for a shell; all that is meant for a person goes to standard error.
pub fn run(args: &Args) -> ExitCode {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let done = match (&args.profile, args.undo) {
        (_, true) => Ok(script::undo(&environment)),
        (Some(name), false) => {
            client(args.data_dir.clone()).and_then(|c| profile::write(name, &c)).map(|()| String::new())
        }
        (None, false) if args.json => client(args.data_dir.clone()).map(|client| client.json()),
        (None, false) => client(args.data_dir.clone()).map(|client| script::enter(&client, &environment)),
    };
    match done {
        Ok(lines) => {
            say_text!("{lines}");
            ExitCode::SUCCESS
        }
        Err(error) => crate::failed(&error),
    }
}

/// What clients need to know of the server that runs on a data folder.
///
/// # Errors
/// `NotFound` when none does; `Invalid` when its secret is known to nobody here.
pub fn client(given: Option<PathBuf>) -> Result<Client> {
    let running = folder::running(&data_dir(given)?)?;
    let secret_access_key = match &running.secret_access_key {
        Some(secret) => secret.clone(),
        None => given_secret(&running)?,
    };
    let host = running.address.rsplit_once(':').map_or(running.address.as_str(), |(host, _)| host);
    Ok(Client {
        url: folder::url(running.is_secure, &running.address),
        host: host.trim_matches(['[', ']']).to_owned(),
        region: running.region,
        access_key_id: running.access_key_id,
        secret_access_key,
        ca_bundle: running.ca_bundle.map(|path| path.display().to_string()),
    })
}

// A key that was given to the server from outside is not in the data folder.
fn given_secret(running: &Running) -> Result<String> {
    let is_same = variable("LADE_ROOT_ACCESS_KEY_ID").is_some_and(|id| id == running.access_key_id);
    variable("LADE_ROOT_SECRET_ACCESS_KEY").filter(|_| is_same).ok_or_else(|| {
        let id = &running.access_key_id;
        Error::invalid(format!(
            "the server was started with its own root key {id}: set LADE_ROOT_ACCESS_KEY_ID and LADE_ROOT_SECRET_ACCESS_KEY here too"
        ))
    })
}
