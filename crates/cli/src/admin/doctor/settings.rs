//! The settings, the files that they name, and who can read the secret ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use model::error::Result;

use super::finding::Findings;
use crate::serve::tls::Tls;
use crate::settings::{Given, Settings};

/// Settles the settings as the server would.
pub fn look(settled: Result<Settings>, given: &Given, findings: &mut Findings) -> Option<Settings> {
    let settings = match settled {
        Ok(settings) => settings,
        Err(cause) => {
            findings.fail(
                "settings",
                cause.chain(),
                "mend the setting that is named; the server does not start so",
            );
            return None;
        }
    };
    match settings.check_shared() {
        Ok(()) => findings.ok("settings", "they can be used"),
        Err(cause) => findings.fail("settings", cause.chain(), "mend the settings that are named"),
    }
    let is_loopback = settings.listen.ip().is_loopback();
    match &settings.tls {
        Some(files) => match Tls::open(files.clone()) {
            Ok(_) => findings.ok("listen", format!("{} over TLS", settings.listen)),
            Err(cause) => {
                findings.fail("listen", cause.chain(), "mend the files in tls_certificate and tls_key")
            }
        },
        None if is_loopback => findings.ok("listen", format!("{}, on this machine only", settings.listen)),
        None => findings.warn(
            "listen",
            format!(
                "{} without TLS: whoever is on the way reads records and may take over sessions",
                settings.listen
            ),
            "set tls_certificate and tls_key, or put a proxy that speaks TLS before a server on loopback",
        ),
    }
    let secrets = [
        ("service_secret_access_key_file", &given.service_secret_access_key_file),
        ("objects_secret_access_key_file", &given.objects_secret_access_key_file),
        ("webhook_secret_file", &given.webhook_secret_file),
    ];
    let tls_key = settings.tls.as_ref().map(|files| files.key.clone());
    let secrets = secrets.into_iter().filter_map(|(setting, file)| Some((setting, file.clone()?)));
    for (setting, file) in secrets.chain(tls_key.map(|file| ("tls_key", file))) {
        look_at_secret(setting, &file, findings);
    }
    Some(settings)
}

/// Looks at what only the server's user may read.
pub fn look_at_keys(folder: &Path, settings: Option<&Settings>, findings: &mut Findings) {
    match fs::metadata(folder).map(|about| about.permissions().mode() & 0o077) {
        Ok(0) => {}
        _ => findings.warn(
            "permissions",
            format!("other users of this machine can look into {}", folder.display()),
            format!("chmod 700 '{}'", folder.display()),
        ),
    }
    let master = settings.and_then(|settings| settings.master_key_file.clone());
    let master = master.unwrap_or_else(|| folder.join("master_key"));
    let root = folder.join("root_key.json");
    let catalog = folder.join("catalog.db");
    for (what, file) in [("master key", master), ("root key", root), ("catalog", catalog)] {
        if file.exists() {
            look_at_secret(what, &file, findings);
        }
    }
}

fn look_at_secret(what: &'static str, file: &Path, findings: &mut Findings) {
    let shown = file.display();
    match fs::File::open(file).and_then(|file| file.metadata()) {
        Err(cause) => findings.fail(
            "permissions",
            format!("{what}: {shown} can't be read: {cause}"),
            "give the file to the user that the server runs as",
        ),
        Ok(about) if about.permissions().mode() & 0o077 != 0 => findings.fail(
            "permissions",
            format!("{what}: other users of this machine can read {shown}"),
            format!("chmod 600 '{shown}', and make a new secret if somebody may have read it"),
        ),
        Ok(_) => findings.ok("permissions", format!("{what}: {shown} is private")),
    }
}
