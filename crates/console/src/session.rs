//! Who is signed in: what a session holds lies sealed in the catalog; failed attempts to sign in are counted here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::Access;
use model::{Clock, Result};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

/// So many failed attempts to sign in from one address, and in all, are answered in a minute.
const ATTEMPTS_MAX: u32 = 10;
const ALL_ATTEMPTS_MAX: u32 = 200;
const WINDOW_MS: i64 = 60_000;

/// The keys that somebody signed in with.
#[derive(Clone)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// A visitor who is signed in.
#[derive(Clone)]
pub struct Session {
    pub keys: Keys,
    /// Who the keys belong to.
    pub arn: String,
    /// Comes back with each form, which no other site can know.
    pub form_token: String,
}

pub struct Sessions {
    access: Arc<Access>,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    since_ms: i64,
    all: u32,
    by_address: HashMap<Option<IpAddr>, u32>,
}

impl Sessions {
    pub fn new(access: Arc<Access>) -> Sessions {
        Sessions { access, failures: Mutex::default() }
    }

    /// Begins a session; gives the word by which its browser is known.
    ///
    /// # Errors
    /// `Unavailable` when it can't be kept.
    pub async fn begin(&self, keys: Keys, arn: String, clock: &dyn Clock) -> Result<String> {
        let session = Session { keys, arn, form_token: clock.hex(32) };
        self.access.begin_console_session(session.text().as_bytes()).await
    }

    /// # Errors
    /// `Unavailable` when nobody can tell who is signed in.
    pub async fn find(&self, word: &str) -> Result<Option<Session>> {
        if word.is_empty() {
            return Ok(None);
        }
        Ok(self.access.console_session(word).await?.and_then(|held| Session::read(&held)))
    }

    /// # Errors
    /// `Unavailable` when it can't be ended.
    pub async fn end(&self, word: &str) -> Result<()> {
        self.access.end_console_session(word).await
    }

    /// Whether somebody at this address may try to sign in now.
    pub fn may_try(&self, address: Option<IpAddr>, now_ms: i64) -> bool {
        lock(&self.failures).may_try(address, now_ms)
    }

    pub fn note_failure(&self, address: Option<IpAddr>, now_ms: i64) {
        lock(&self.failures).note(address, now_ms);
    }
}

impl Session {
    fn text(&self) -> String {
        let Keys { access_key_id, secret_access_key, session_token } = &self.keys;
        let held = json!([access_key_id, secret_access_key, session_token, self.arn, self.form_token]);
        held.to_string()
    }

    fn read(held: &[u8]) -> Option<Session> {
        let held: Value = serde_json::from_slice(held).ok()?;
        let text = |n: usize| held.get(n)?.as_str().map(str::to_owned);
        let keys = Keys { access_key_id: text(0)?, secret_access_key: text(1)?, session_token: text(2) };
        Some(Session { keys, arn: text(3)?, form_token: text(4)? })
    }

    pub fn is_form_token(&self, given: &str) -> bool {
        self.form_token.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl Failures {
    fn may_try(&mut self, address: Option<IpAddr>, now_ms: i64) -> bool {
        self.begin(now_ms);
        self.all < ALL_ATTEMPTS_MAX && self.by_address.get(&address).is_none_or(|count| *count < ATTEMPTS_MAX)
    }

    fn note(&mut self, address: Option<IpAddr>, now_ms: i64) {
        self.begin(now_ms);
        self.all += 1;
        *self.by_address.entry(address).or_default() += 1;
    }

    fn begin(&mut self, now_ms: i64) {
        if (now_ms - self.since_ms).abs() >= WINDOW_MS {
            *self = Failures { since_ms: now_ms, ..Failures::default() };
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_holds_comes_back_as_it_was() {
        for session_token in [None, Some("t\"".to_owned())] {
            let keys = Keys { access_key_id: "a".into(), secret_access_key: "s".into(), session_token };
            let session = Session { keys, arn: "arn".into(), form_token: "f".into() };
            let read = Session::read(session.text().as_bytes()).unwrap();
            assert_eq!(read.keys.session_token, session.keys.session_token);
            assert_eq!((read.arn, read.form_token), (session.arn, session.form_token));
        }
    }

    #[test]
    fn one_address_that_guesses_does_not_lock_others_out() {
        let mut failures = Failures::default();
        let (guesser, other) = (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()));
        for _ in 0..ATTEMPTS_MAX {
            assert!(failures.may_try(guesser, 5));
            failures.note(guesser, 5);
        }
        assert!(!failures.may_try(guesser, 5) && failures.may_try(other, 5));
        assert!(failures.may_try(guesser, 5 + WINDOW_MS));
    }
}
