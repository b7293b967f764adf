//! Session tokens: sealed texts that say whose session they are, so that no server has to remember any.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Arn, Clock, Error, Result};
use serde::{Deserialize, Serialize};
use wire::sigv4::{AuthError, AuthErrorKind, Credential};

use crate::identity_policy::unreadable;
use crate::policy::Document;
use crate::principal::{AssumedRole, Principal, SessionPolicies, User};
use crate::seal::SealingKey;
use crate::{Access, Unauthenticated};

/// What session tokens are sealed for.
const PURPOSE: &[u8] = b"session tokens";
/// How many sessions are kept opened.
const KNOWN_MAX: usize = 10_000;

/// All that a session token says; nobody but the server can read it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Claims {
    pub secret_access_key: String,
    pub issued_ms: i64,
    pub expires_ms: i64,
    pub bearer: Bearer,
}

/// Who bears a token.
#[derive(Serialize, Deserialize)]
pub(crate) enum Bearer {
    /// Whoever has the account's root key, as long as it is this one.
    Root {
        access_key_id: String,
    },
    /// The user with this id, whatever its name is by now.
    User {
        id: String,
    },
    Role(Box<RoleClaims>),
}

/// What a session of a role says of itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct RoleClaims {
    pub role: Arn,
    /// A role that was made anew under the same name is another one.
    pub role_id: String,
    pub session: Arn,
    pub tags: Vec<(String, String)>,
    pub transitive_tags: Vec<(String, String)>,
    pub policy: Option<String>,
    pub policy_arns: Vec<Arn>,
}

/// The keys of a session, as they are given out.
pub struct TemporaryKeys {
    /// `ASIA…`.
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
    pub expires_ms: i64,
}

/// Tokens that were opened: a request after the first asks neither the cipher nor the catalog.
pub(crate) struct SessionTokens {
    key: SealingKey,
    opened: RwLock<HashMap<String, Arc<Opened>>>,
}

struct Opened {
    credential: Credential,
    principal: Principal,
    expires_ms: i64,
    /// The catalog's count of changes when the bearer was looked up.
    generation: u64,
    /// The root key with which the session ends, where it is the root's.
    root_key_id: Option<String>,
}

impl Opened {
    fn is_of(&self, token: &str) -> bool {
        let known = self.credential.session_token.as_deref().unwrap_or_default();
        verify_slices_are_equal(known.as_bytes(), token.as_bytes()).is_ok()
    }
}

impl SessionTokens {
    pub fn new(master: &SealingKey) -> SessionTokens {
        SessionTokens { key: master.derive(PURPOSE), opened: RwLock::default() }
    }

    /// Keys for a session that lasts `life_ms` from now on.
    pub fn issue(&self, bearer: Bearer, life_ms: i64, clock: &dyn Clock) -> Result<TemporaryKeys> {
        let issued_ms = clock.now_ms();
        let access_key_id = format!("ASIA{}", clock.base32(16));
        // A whole second, as it is told.
        let expires_ms = (issued_ms + life_ms).div_euclid(1000) * 1000;
        let claims = Claims { secret_access_key: clock.base32(40), issued_ms, expires_ms, bearer };
        let text =
            serde_json::to_vec(&claims).map_err(|e| Error::internal("write a session token").caused_by(e))?;
        let session_token = STANDARD.encode(self.key.seal(clock, &text, access_key_id.as_bytes()));
        let secret_access_key = claims.secret_access_key;
        Ok(TemporaryKeys { access_key_id, secret_access_key, session_token, expires_ms })
    }

    fn open(&self, access_key_id: &str, token: &str) -> Option<Claims> {
        let sealed = STANDARD.decode(token).ok()?;
        serde_json::from_slice(&self.key.open(&sealed, access_key_id.as_bytes())?).ok()
    }

    fn known(&self, access_key_id: &str, token: &str) -> Option<Arc<Opened>> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.get(access_key_id).filter(|one| one.is_of(token)).cloned()
    }

    fn keep(&self, access_key_id: &str, one: Arc<Opened>, now_ms: i64) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= KNOWN_MAX {
            opened.retain(|_, one| one.expires_ms > now_ms);
        }
        if opened.len() >= KNOWN_MAX {
            opened.clear();
        }
        opened.insert(access_key_id.to_owned(), one);
    }
}

impl Access {
    /// The secret and the principal behind a key that came with a session token.
    pub(crate) async fn bearer(
        &self,
        access_key_id: &str,
        token: &str,
    ) -> Result<(Credential, Principal), Unauthenticated> {
        let (now_ms, generation) = (self.clock.now_ms(), self.catalog.identity_generation());
        let known = self.tokens.known(access_key_id, token).filter(|one| one.generation == generation);
        let one = match known {
            Some(one) => one,
            None => {
                let one = Arc::new(self.opened(access_key_id, token, generation).await?);
                self.tokens.keep(access_key_id, one.clone(), now_ms);
                one
            }
        };
        if one.root_key_id.as_ref().is_some_and(|id| !self.root.is_live(id, now_ms)) {
            return Err(AuthError::invalid_token().into());
        }
        if one.expires_ms <= now_ms {
            let text = "The security token included in the request is expired";
            return Err(AuthError::new(AuthErrorKind::ExpiredToken, text).into());
        }
        Ok((one.credential.clone(), one.principal.clone()))
    }

    async fn opened(
        &self,
        access_key_id: &str,
        token: &str,
        generation: u64,
    ) -> Result<Opened, Unauthenticated> {
        let claims = self.tokens.open(access_key_id, token).ok_or_else(AuthError::invalid_token)?;
        let root_key_id = match &claims.bearer {
            Bearer::Root { access_key_id } => Some(access_key_id.clone()),
            Bearer::User { .. } | Bearer::Role(_) => None,
        };
        let principal = self.principal_of(claims.bearer, claims.issued_ms).await?;
        Ok(Opened {
            credential: Credential {
                secret_access_key: claims.secret_access_key,
                session_token: Some(token.to_owned()),
            },
            principal: principal.ok_or_else(AuthError::invalid_token)?,
            expires_ms: claims.expires_ms,
            generation,
            root_key_id,
        })
    }

    // `None` when the bearer is no more.
    async fn principal_of(&self, bearer: Bearer, issued_ms: i64) -> Result<Option<Principal>> {
        Ok(match bearer {
            Bearer::Root { access_key_id } => {
                let is_live = self.root.is_live(&access_key_id, self.clock.now_ms());
                is_live.then(|| Principal::Root { arn: self.realm.root() })
            }
            Bearer::User { id } => {
                let user = self.catalog.user_by_id(&id).await?;
                user.map(|user| Principal::User(Arc::new(User::of(user))))
            }
            Bearer::Role(claims) => self.assumed_role(*claims, issued_ms).await?,
        })
    }

    async fn assumed_role(&self, claims: RoleClaims, issued_ms: i64) -> Result<Option<Principal>> {
        let role = self.catalog.role_by_arn(&claims.role).await?;
        let Some(role) = role.filter(|role| role.id == claims.role_id) else { return Ok(None) };
        let inline = claims.policy.as_deref().map(Document::parse_identity_policy);
        let inline = inline.transpose().map_err(unreadable)?.map(Arc::new);
        let is_narrowed = inline.is_some() || !claims.policy_arns.is_empty();
        Ok(Some(Principal::AssumedRole(Arc::new(AssumedRole {
            role: role.arn,
            role_id: role.id,
            session: claims.session,
            tags: merged(claims.tags, role.tags),
            transitive_tags: claims.transitive_tags,
            session_policies: is_narrowed.then_some(SessionPolicies { inline, managed: claims.policy_arns }),
            issued_ms,
        }))))
    }
}

/// The first tags, and those of the others whose keys, in whatever case, are not among them.
pub(crate) fn merged(
    mut tags: Vec<(String, String)>,
    others: Vec<(String, String)>,
) -> Vec<(String, String)> {
    for (key, value) in others {
        if !tags.iter().any(|(known, _)| known.to_lowercase() == key.to_lowercase()) {
            tags.push((key, value));
        }
    }
    tags
}
