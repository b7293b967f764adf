//! A profile in the files that AWS clients share: one section each in `config` and `credentials`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::Error;
use model::error::{Context, Result};

use super::Client;
use crate::settings::variable;

/// Writes the profile `name`, in the place of one that bears the same name.
///
/// # Errors
/// `Invalid` for a name that these files can't hold; `Unavailable` when they can't be written.
pub fn write(name: &str, client: &Client) -> Result<()> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(Error::invalid("a profile's name is made of letters, digits, and -_."));
    }
    let (config, credentials) =
        (file("AWS_CONFIG_FILE", "config")?, file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?);
    let title = if name == "default" { name.to_owned() } else { format!("profile {name}") };
    let mut members = vec![("region", &client.region), ("endpoint_url", &client.url)];
    members.extend(client.ca_bundle.as_ref().map(|path| ("ca_bundle", path)));
    put(&config, &title, &members)?;
    let keys =
        [("aws_access_key_id", &client.access_key_id), ("aws_secret_access_key", &client.secret_access_key)];
    put(&credentials, name, &keys)?;
    eprintln!(
        "wrote the profile {name} to {} and {}: aws --profile {name} …",
        config.display(),
        credentials.display()
    );
    Ok(())
}

fn file(name: &str, usual: &str) -> Result<PathBuf> {
    let home = || variable("HOME").map(|home| Path::new(&home).join(".aws").join(usual));
    let path = variable(name).map(PathBuf::from).or_else(home);
    path.ok_or_else(|| Error::invalid(format!("HOME is not set: name the file in {name}")))
}

fn put(path: &Path, title: &str, members: &[(&str, &String)]) -> Result<()> {
    let writing = || format!("write {}", path.display());
    // The file may be a link into a folder of settings that is kept elsewhere.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(cause) => return Err(cause).unavailable(writing),
    };
    let draft = path.with_extension("lade-draft");
    let replaced = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        if let Ok(metadata) = fs::metadata(&path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(section(&old, title, members).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    };
    replaced().unavailable(writing)
}

/// The text with the section put last, and without an older one of the same title.
fn section(old: &str, title: &str, members: &[(&str, &String)]) -> String {
    let mut is_kept = true;
    let mut text = String::new();
    for line in old.lines() {
        if let Some(found) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_kept = found.split_whitespace().ne(title.split_whitespace());
        }
        if is_kept {
            text.push_str(line);
            text.push('\n');
        }
    }
    let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
    text.push_str(&format!("{gap}[{title}]\n"));
    for (name, value) in members {
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_its_namesake() {
        let old = "# mine\n[default]\nregion = eu\n\n[profile  lade]\nregion = x\n# old\n[profile lade2]\nregion = y\n";
        let text = section(old, "profile lade", &[("region", &"us-east-1".to_owned())]);
        assert_eq!(
            text,
            "# mine\n[default]\nregion = eu\n\n[profile lade2]\nregion = y\n\n[profile lade]\nregion = us-east-1\n"
        );
        assert_eq!(section(&text, "profile lade", &[("region", &"us-east-1".to_owned())]), text);
    }

    #[test]
    fn keys_are_written_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("aws/credentials");
        put(&path, "lade", &[("aws_access_key_id", &"AKIA1".to_owned())]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "[lade]\naws_access_key_id = AKIA1\n");
    }
}
