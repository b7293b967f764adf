//! The names of keys: ids, ARNs and aliases, and which key bears one.

use catalog::{KeyName, KeyRow};
use model::Arn;

use super::KeyFault;
use crate::{Access, Asking};

/// How a request may name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By its id or ARN.
    Key,
    /// By its id, its ARN, an alias's name or an alias's ARN.
    KeyOrAlias,
}

impl Access {
    /// Finds a key without asking who wants it.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArn`.
    pub async fn find_key(&self, reference: &str, naming: Naming) -> Result<KeyRow, KeyFault> {
        let is_arn = Arn::parse(reference).is_some();
        let name = if is_arn { self.own_resource(reference)? } else { reference };
        let (name, shown) = match (name.strip_prefix("key/"), name.starts_with("alias/")) {
            (Some(id), _) if is_arn => (KeyName::Id(id), self.realm.key(id)),
            (_, true) if naming == Naming::KeyOrAlias => (KeyName::Alias(name), self.realm.alias(name)),
            (_, true) if is_arn => {
                return Err(KeyFault::InvalidArn(format!(
                    "{reference} must be a key ARN, not an alias ARN."
                )));
            }
            _ if is_key_id(name) => (KeyName::Id(name), self.realm.key(name)),
            _ => return Err(KeyFault::NotFound(format!("Invalid keyId '{reference}'"))),
        };
        let missing = || match name {
            KeyName::Id(_) => KeyFault::NotFound(format!("Key '{shown}' does not exist")),
            KeyName::Alias(_) => KeyFault::NotFound(format!("Alias {shown} is not found.")),
        };
        self.catalog.key(name).await?.ok_or_else(missing)
    }

    // The key for a request. Whoever may not do this with any key does not learn whether there is one.
    pub(super) async fn named_key(
        &self,
        asking: Asking<'_>,
        action: &str,
        reference: &str,
        naming: Naming,
    ) -> Result<KeyRow, KeyFault> {
        match self.find_key(reference, naming).await {
            Err(KeyFault::NotFound(text)) => {
                self.permit_keys(asking, action, &self.would_be(reference)).await?;
                Err(KeyFault::NotFound(text))
            }
            found => found,
        }
    }

    // The ARN that a key or alias of this name would have, so that a denial is the same for one that is there.
    fn would_be(&self, reference: &str) -> String {
        match reference {
            name if is_key_id(name) => self.realm.key(name).to_string(),
            name if name.starts_with("alias/") => self.realm.alias(name).to_string(),
            name => name.to_owned(),
        }
    }

    // What stands behind the account in an ARN of this server's own keys and aliases.
    fn own_resource<'r>(&self, reference: &'r str) -> Result<&'r str, KeyFault> {
        let parts: Vec<&str> = reference.splitn(6, ':').collect();
        match parts.as_slice() {
            [_, _, "kms", region, account, resource] => {
                let is_ours = *region == self.realm.region && *account == self.realm.account;
                let missing = || KeyFault::NotFound(format!("Key '{reference}' does not exist"));
                is_ours.then_some(*resource).ok_or_else(missing)
            }
            _ => Err(KeyFault::InvalidArn(format!("Invalid arn {reference}"))),
        }
    }
}

fn is_key_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}
