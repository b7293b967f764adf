//! Where records come from, and the keys that open it: from the environment or a profile, never from flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use http::Method;
use model::error::{Context, Error, Result};

use super::side::Side;
use crate::client::Client;
use crate::client::connector::Connector;
use crate::settings::variable;

/// Options that say where records come from.
#[derive(clap::Args)]
pub struct SourceArgs {
    /// Address of the source, for all of its services [default: AWS's own in the source's region]
    #[arg(long, value_name = "URL")]
    source_endpoint_url: Option<String>,

    /// Region of the source [default: SOURCE_AWS_REGION, else that of the profile]
    #[arg(long, value_name = "REGION")]
    source_region: Option<String>,

    /// Profile of the AWS clients with the source's keys [default: SOURCE_AWS_ACCESS_KEY_ID, SOURCE_AWS_SECRET_ACCESS_KEY
    /// and SOURCE_AWS_SESSION_TOKEN in the environment]
    #[arg(long, value_name = "NAME")]
    source_profile: Option<String>,

    /// File with the authorities to trust at the source [default: those that the system knows]
    #[arg(long, value_name = "FILE")]
    source_ca_file: Option<PathBuf>,
}

impl SourceArgs {
    /// # Errors
    /// `Invalid` when keys or region are missing, or the address is none.
    pub async fn side(&self) -> Result<Side> {
        let profile = self.source_profile.as_deref().map(profile).transpose()?;
        let of_profile = |name: &str| profile.as_ref().and_then(|members| members.get(name).cloned());
        let region = self.source_region.clone().or_else(|| variable("SOURCE_AWS_REGION"));
        let region = region.or_else(|| of_profile("region")).ok_or_else(|| {
            Error::invalid(
                "the source's region is not known: name it by --source-region or SOURCE_AWS_REGION",
            )
        })?;
        let credentials = match &profile {
            Some(members) => of_section(self.source_profile.as_deref().unwrap_or_default(), members)?,
            None => of_environment()?,
        };
        let url = self.source_endpoint_url.clone().or_else(|| of_profile("endpoint_url"));
        let (control, objects) = match &url {
            Some(url) => (url.trim_end_matches('/').to_owned(), url.trim_end_matches('/').to_owned()),
            None => (aws("personalize", &region), aws("s3", &region)),
        };
        let client = |url: &str| -> Result<Client> {
            let connector = match url.split_once("://") {
                Some(("https", host)) if !host.is_empty() => {
                    Connector::secure(self.source_ca_file.as_deref())?
                }
                Some(("http", host)) if !host.is_empty() => Connector::default(),
                _ => return Err(Error::invalid(format!("the source's address is no URL: {url}"))),
            };
            Ok(Client::with(connector, url.to_owned(), region.clone(), credentials.clone()))
        };
        let (control_client, objects) = (client(&control)?, client(&objects)?);
        let is_lade = url.is_some() && control_client.lade(Method::GET, "/caller").await.is_ok();
        Ok(Side { name: control, control: control_client, objects, is_lade })
    }
}

// Paths name the bucket, so that names with dots keep to the certificate.
fn aws(service: &str, region: &str) -> String {
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{service}.{region}.amazonaws.com{end}")
}

fn of_environment() -> Result<Credentials> {
    let needed = |name: &str| {
        let text =
            format!("the source's keys are not known: set {name}, or name a profile by --source-profile");
        variable(name).ok_or_else(|| Error::invalid(text))
    };
    let (id, secret) = (needed("SOURCE_AWS_ACCESS_KEY_ID")?, needed("SOURCE_AWS_SECRET_ACCESS_KEY")?);
    Ok(Credentials::new(id, secret, variable("SOURCE_AWS_SESSION_TOKEN"), None, "source"))
}

fn of_section(name: &str, members: &BTreeMap<String, String>) -> Result<Credentials> {
    let needed = |member: &str| {
        members.get(member).cloned().ok_or_else(|| {
            Error::invalid(format!(
                "the profile {name} has no {member}; for one that signs in or takes a role: \
                 aws configure export-credentials --profile {name}, and set SOURCE_AWS_… from that"
            ))
        })
    };
    let token = members.get("aws_session_token").cloned();
    let (id, secret) = (needed("aws_access_key_id")?, needed("aws_secret_access_key")?);
    Ok(Credentials::new(id, secret, token, None, "source"))
}

// What both of the files that AWS clients share say of a profile.
fn profile(name: &str) -> Result<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    for (variable_name, usual) in
        [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
    {
        let home = || variable("HOME").map(|home| Path::new(&home).join(".aws").join(usual));
        let Some(path) = variable(variable_name).map(PathBuf::from).or_else(home) else { continue };
        match std::fs::read_to_string(&path) {
            Ok(text) => members.extend(section(&text, name)),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause).unavailable(|| format!("read {}", path.display())),
        }
    }
    if members.is_empty() {
        return Err(Error::invalid(format!("there is no profile {name} in the files of the AWS clients")));
    }
    Ok(members)
}

fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut is_meant = false;
    let mut members = BTreeMap::new();
    for line in text.lines() {
        if let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let words: Vec<&str> = title.split_whitespace().collect();
            is_meant = words == [name] || words == ["profile", name];
        } else if let Some((key, value)) =
            line.split_once('=').filter(|_| is_meant && !line.starts_with([' ', '#']))
        {
            members.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_the_section_of_its_name() {
        let text = "[default]\nregion = a\n[profile shop]\nregion=b\ns3 =\n  region = c\n# region = d\n[shop2]\nregion = e\n";
        assert_eq!(section(text, "shop").get("region").map(String::as_str), Some("b"));
        assert_eq!(section(text, "default").get("region").map(String::as_str), Some("a"));
        assert!(section(text, "none").is_empty());
    }

    #[test]
    fn a_profile_without_keys_says_what_to_do() {
        let error = of_section("sso", &section("[profile sso]\nregion = b\n", "sso")).unwrap_err();
        assert!(error.message().contains("aws configure export-credentials --profile sso"));
    }

    #[test]
    fn chinas_regions_have_a_domain_of_their_own() {
        assert_eq!(aws("s3", "eu-west-1"), "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(aws("personalize", "cn-north-1"), "https://personalize.cn-north-1.amazonaws.com.cn");
    }
}
