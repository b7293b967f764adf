//! Policy documents: read strictly, given back unchanged, evaluated.

mod condition;
mod context;
mod decision;
mod identity;
mod json;
mod pattern;
mod read;
mod template;

pub use context::{Context, Surroundings};
pub use decision::{Decision, Request, decide};
pub use identity::Caller;

use model::Result;

use condition::Condition;
use identity::Entry;
use pattern::ActionPattern;
use template::Template;

/// The most characters of all policies written into one user, white space not counted.
pub const USER_POLICIES_SIZE_MAX: usize = 2_048;
/// The most characters of all policies written into one group, white space not counted.
pub const GROUP_POLICIES_SIZE_MAX: usize = 5_120;
/// The most characters of a session's own policy.
pub const SESSION_POLICY_SIZE_MAX: usize = 2_048;
/// The most characters of all policies written into one role, white space not counted.
pub const ROLE_POLICIES_SIZE_MAX: usize = 10_240;
/// The most characters of a managed policy, white space not counted.
pub const MANAGED_POLICY_SIZE_MAX: usize = 6_144;
/// The most characters of a trust policy, white space not counted.
pub const TRUST_POLICY_SIZE_MAX: usize = 2_048;
/// The most bytes of a bucket policy.
pub const BUCKET_POLICY_SIZE_MAX: usize = 20 * 1024;
/// The most bytes of a key's policy.
pub const KEY_POLICY_SIZE_MAX: usize = 32 * 1024;

/// A policy that was read and whose every element is evaluated.
///
/// An element that is not evaluated is refused when the policy is read: a skipped condition would let in whom it
/// was to keep out.
#[derive(Clone, Debug)]
pub struct Document {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    sid: Option<String>,
    effect: Effect,
    /// Absent in policies of an identity.
    principals: Option<Choice<Entry>>,
    actions: Choice<ActionPattern>,
    /// Absent in trust policies.
    resources: Option<Choice<Template>>,
    /// All must hold.
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// What an element names (`Action`), or all but what it names (`NotAction`).
#[derive(Clone, Debug)]
struct Choice<T> {
    all_but: bool,
    items: Vec<T>,
}

impl<T> Choice<T> {
    fn takes(&self, matches: impl Fn(&T) -> bool) -> bool {
        self.items.iter().any(matches) != self.all_but
    }
}

impl Document {
    /// Reads a policy that says what a user or a role may do.
    ///
    /// # Errors
    /// `Invalid` with a sentence about the first element that is wrong or not evaluated.
    pub fn parse_identity_policy(text: &str) -> Result<Document> {
        read::document(text, read::Kind::Identity)
    }

    /// Reads a policy that says who may assume a role.
    ///
    /// # Errors
    /// As `parse_identity_policy`.
    pub fn parse_trust_policy(text: &str) -> Result<Document> {
        read::document(text, read::Kind::Trust)
    }

    /// Reads the policy of a bucket, whose resources are all of that bucket.
    ///
    /// # Errors
    /// As `parse_identity_policy`.
    pub fn parse_resource_policy(text: &str, bucket: &str) -> Result<Document> {
        read::document(text, read::Kind::Bucket(bucket))
    }

    /// Reads the policy of a key of KMS, whose resource `*` is that key.
    ///
    /// # Errors
    /// As `parse_identity_policy`.
    pub fn parse_key_policy(text: &str) -> Result<Document> {
        read::document(text, read::Kind::Key)
    }

    /// The keys that its conditions ask for, in lower case; some may come twice.
    pub fn condition_keys(&self) -> impl Iterator<Item = &str> {
        let conditions = self.statements.iter().flat_map(|statement| &statement.conditions);
        conditions.map(Condition::key)
    }

    /// Whether its decision depends on the tags of the resource.
    pub fn asks_for_resource_tags(&self) -> bool {
        let family = "aws:resourcetag/";
        self.statements.iter().any(|statement| {
            let resources = statement.resources.iter().flat_map(|choice| &choice.items);
            statement.conditions.iter().any(|condition| condition.asks_for(family))
                || resources.into_iter().any(|template| template.asks_for(family))
        })
    }
}

/// The size of a policy as IAM counts it: characters that are not white space.
pub fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

#[cfg(test)]
mod tests;
