//! The root key's change: for the root alone, signing with its own key.

use access::{Principal, trail};
use model::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::event::rfc3339;
use crate::call::Call;
use crate::door::Api;
use crate::reply::Answer;

/// How long a former key may work at most: 30 days.
const GRACE_S_MAX: i64 = 30 * 86_400;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    #[serde(default)]
    grace_seconds: i64,
}

/// The new pair; it is told here and never again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    access_key_id: String,
    secret_access_key: String,
    former_key_id: String,
    /// Null when it works no more.
    former_ends_at: Option<String>,
}

/// Gives the root a new key.
///
/// # Errors
/// `Denied` to everybody else, and to a session of the root, which would outlive its key; `Invalid` when the server's
/// settings say which key the root has.
pub async fn rotate(api: &Api, call: &Call) -> Answer<Made> {
    let root = api.realm.root();
    trail::resource(root.as_str());
    if !matches!(call.principal, Principal::Root { .. }) || call.is_temporary {
        let text =
            format!("Only the root of the account may change its key, signing with the key itself: {root}");
        return Err(Error::new(ErrorKind::Denied, text).into());
    }
    let Input { grace_seconds } = read(&call.body)?;
    let rotated = api.access.rotate_root_key(1000 * grace_seconds).await?;
    Ok(Made {
        access_key_id: rotated.key.access_key_id,
        secret_access_key: rotated.key.secret_access_key,
        former_key_id: rotated.former_key_id,
        former_ends_at: (grace_seconds > 0).then(|| rfc3339(rotated.former_ends_ms)),
    })
}

fn read(body: &[u8]) -> Result<Input> {
    let wrong =
        || Error::invalid(format!("The body must be JSON; graceSeconds may be from 0 to {GRACE_S_MAX}."));
    let input: Input = serde_json::from_slice(body).map_err(|_| wrong())?;
    if (0..=GRACE_S_MAX).contains(&input.grace_seconds) { Ok(input) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_none_or_thirty_days_at_most() {
        assert_eq!(read(b"{}").unwrap().grace_seconds, 0);
        assert_eq!(read(b"{\"graceSeconds\": 2592000}").unwrap().grace_seconds, 2_592_000);
        for wrong in ["", "{\"graceSeconds\": 2592001}", "{\"graceSeconds\": -1}", "{\"grace\": 1}"] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
