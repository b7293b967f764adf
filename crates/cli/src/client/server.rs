//! Which server is called, and by which key: what the environment says to AWS clients, else the running server's own.

use std::path::PathBuf;

use aws_credential_types::Credentials;
use model::error::{Error, ErrorKind, Result};

use crate::client::Client;
use crate::client::connector::Connector;
use crate::env;
use crate::settings::variable;

/// Options that say which server is called.
#[derive(clap::Args)]
pub struct Choice {
    /// Address of the server [default: AWS_ENDPOINT_URL, else the server that runs on the data folder]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// Region to sign for [default: AWS_REGION or AWS_DEFAULT_REGION, else that of the server on the data folder]
    #[arg(long)]
    region: Option<String>,

    /// File with the authorities to trust where the address is https://… [default: AWS_CA_BUNDLE, the running server's
    /// own, else those that the system knows]
    #[arg(long, env = "LADE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Data folder of the running server [default: lade in the user's data folder]
    #[arg(long, env = "LADE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Choice {
    /// A client of the server that is meant; `service` may have an address of its own, as `AWS_ENDPOINT_URL_S3` tells.
    ///
    /// # Errors
    /// As `Server::find`.
    pub fn client(&self, service: &str) -> Result<Client> {
        let name = format!("AWS_ENDPOINT_URL_{service}");
        let own = || variable(&name).filter(|_| self.data_dir.is_none());
        let mut server = match self.endpoint_url.clone().or_else(own) {
            Some(url) => {
                let by = if self.endpoint_url.is_some() { "--endpoint-url".into() } else { name };
                Server::of_environment(&url, &by, self.region.as_deref())?
            }
            None => Server::find(self.data_dir.clone(), self.region.as_deref())?,
        };
        if let Some(region) = &self.region {
            server.region.clone_from(region);
        }
        if self.ca_file.is_some() {
            server.ca_file.clone_from(&self.ca_file);
        }
        server.client()
    }
}

/// A server and the key by which it is entered.
#[derive(Clone)]
pub struct Server {
    /// `HOST:PORT`, as it stands in the Host header.
    pub authority: String,
    /// What told it, such as AWS_ENDPOINT_URL.
    pub told_by: String,
    /// Whether it is spoken to over TLS,
    pub is_secure: bool,
    /// and the file with the authorities to trust then, where these are not the system's.
    pub ca_file: Option<PathBuf>,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl Server {
    /// The server of `AWS_ENDPOINT_URL`, where this is set, else the one that runs on the data folder.
    ///
    /// # Errors
    /// `Invalid` when the variables lack a key or the address is none; `NotFound` when no server runs.
    pub fn find(data_dir: Option<PathBuf>, region: Option<&str>) -> Result<Server> {
        match variable("AWS_ENDPOINT_URL").filter(|_| data_dir.is_none()) {
            Some(url) => Server::of_environment(&url, "AWS_ENDPOINT_URL", region),
            None => Server::of_folder(data_dir),
        }
    }

    fn of_environment(url: &str, told_by: &str, region: Option<&str>) -> Result<Server> {
        let needed = |name: &str| {
            variable(name).ok_or_else(|| {
                Error::invalid(format!(
                    "The server at {url} needs {name}: eval \"$(lade env)\" sets all that it takes"
                ))
            })
        };
        let (is_secure, authority) = address(url)?;
        Ok(Server {
            authority,
            told_by: told_by.to_owned(),
            is_secure,
            ca_file: variable("AWS_CA_BUNDLE").map(PathBuf::from),
            region: match region {
                Some(region) => region.to_owned(),
                None => variable("AWS_REGION").map_or_else(|| needed("AWS_DEFAULT_REGION"), Ok)?,
            },
            access_key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret_access_key: needed("AWS_SECRET_ACCESS_KEY")?,
            session_token: variable("AWS_SESSION_TOKEN"),
        })
    }

    fn of_folder(data_dir: Option<PathBuf>) -> Result<Server> {
        let is_default = data_dir.is_none();
        let found = env::client(data_dir).map_err(|cause| match cause.kind {
            // Nobody named this folder.
            ErrorKind::NotFound if is_default => {
                let text = format!("{}; or name a server elsewhere in AWS_ENDPOINT_URL", cause.message());
                Error::new(ErrorKind::NotFound, text)
            }
            _ => cause,
        })?;
        let (is_secure, authority) = address(&found.url)?;
        Ok(Server {
            authority,
            told_by: "the data folder".to_owned(),
            is_secure,
            ca_file: found.ca_bundle.map(PathBuf::from),
            region: found.region,
            access_key_id: found.access_key_id,
            secret_access_key: found.secret_access_key,
            session_token: None,
        })
    }

    /// A client for everything but the load itself.
    ///
    /// # Errors
    /// As `connector`.
    pub fn client(&self) -> Result<Client> {
        let Server { access_key_id, secret_access_key, session_token, .. } = self.clone();
        let credentials = Credentials::new(access_key_id, secret_access_key, session_token, None, "lade");
        let scheme = if self.is_secure { "https" } else { "http" };
        let url = format!("{scheme}://{}", self.authority);
        let client = Client::with(self.connector()?, url, self.region.clone(), credentials);
        Ok(client.told_by(&self.told_by))
    }

    /// What opens connections to it.
    ///
    /// # Errors
    /// `Invalid` when no authority is known that its certificate could lead to.
    pub fn connector(&self) -> Result<Connector> {
        if self.is_secure { Connector::secure(self.ca_file.as_deref()) } else { Ok(Connector::default()) }
    }
}

// Whether it is spoken to over TLS, and what stands behind the scheme.
fn address(url: &str) -> Result<(bool, String)> {
    let secure = url.strip_prefix("https://");
    let rest = secure.or_else(|| url.strip_prefix("http://")).map(|rest| rest.trim_end_matches('/'));
    let plain = rest.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@']));
    let wrong = || Error::invalid(format!("an address is http://HOST:PORT or https://HOST:PORT, not {url}"));
    plain.map(|host| (secure.is_some(), host.to_owned())).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host_and_nothing_else() {
        assert_eq!(address("http://127.0.0.1:8080/").unwrap(), (false, "127.0.0.1:8080".to_owned()));
        assert_eq!(address("https://lade.example").unwrap(), (true, "lade.example".to_owned()));
        for url in ["ftp://127.0.0.1:8080", "127.0.0.1:8080", "https://", "http://h/path", "http://u@h"] {
            assert!(address(url).unwrap_err().message().contains(url));
        }
    }
}
