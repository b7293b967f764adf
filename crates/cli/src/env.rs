//! `lade env`: points the AWS clients of a shell, or a named profile, to the server that runs on a data folder.

mod profile;
mod script;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use model::Error;
use model::error::Result;

use crate::serve::folder::{self, Running};
use crate::settings::{data_dir, variable};

/// Options of `lade env`.
#[derive(clap::Args)]
pub struct Args {
    /// Data folder of the running server [default: lade in the user's data folder]
    #[arg(long, env = "LADE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Print the lines that bring back what was set before
    #[arg(long, conflicts_with = "profile")]
    undo: bool,

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
        (None, false) => client(args.data_dir.clone()).map(|client| script::enter(&client, &environment)),
    };
    match done {
        Ok(lines) => {
            print!("{lines}");
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
