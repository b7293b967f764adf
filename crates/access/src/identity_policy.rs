//! The policies of users and roles, parsed and kept, because every request of theirs asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::Catalog;
use model::{Arn, Error, ErrorKind, Result};

use crate::policy::Document;

/// All policies that say what one user or role may do.
pub(crate) type Documents = Arc<[Document]>;

/// What was read since the last change of any policy, user or role.
#[derive(Default)]
pub(crate) struct IdentityPolicies {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The catalog's count of changes when these were read.
    generation: u64,
    by_arn: HashMap<Arn, Documents>,
}

impl IdentityPolicies {
    /// The policies of the user or role with this ARN; a change holds from the next request on.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be read, `Corrupt` when a policy there can't be.
    pub async fn of(&self, catalog: &Catalog, arn: &Arn) -> Result<Documents> {
        // Asked before the policies are read: what changes meanwhile is read anew by the next request.
        let generation = catalog.identity_generation();
        if let Some(documents) = self.at(generation).by_arn.get(arn) {
            return Ok(documents.clone());
        }
        let texts = catalog.identity_documents(arn).await?;
        let documents: Documents = texts
            .iter()
            .map(|text| Document::parse_identity_policy(text).map_err(unreadable))
            .collect::<Result<_>>()?;
        let mut known = self.at(generation);
        if known.generation == generation {
            known.by_arn.insert(arn.clone(), documents.clone());
        }
        Ok(documents)
    }

    // What was read before a later change is forgotten.
    fn at(&self, generation: u64) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.generation < generation {
            *known = Known { generation, by_arn: HashMap::new() };
        }
        known
    }
}

/// The policy passed its checks when it was put; a text that no longer does was changed behind our back.
pub(crate) fn unreadable(error: Error) -> Error {
    Error::new(ErrorKind::Corrupt, "a stored policy can't be read").caused_by(error)
}
