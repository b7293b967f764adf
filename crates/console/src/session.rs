//! Who is signed in: sessions live in memory, end after a while, and at once when somebody signs out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Clock;
use subtle::ConstantTimeEq;

/// A session that is not used for so long has ended.
const IDLE_MS: i64 = 8 * 3600 * 1000;
const LIFE_MS: i64 = 24 * 3600 * 1000;
const SESSIONS_MAX: usize = 10_000;
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
    began_ms: i64,
    used_ms: i64,
}

#[derive(Default)]
pub struct Sessions {
    live: Mutex<HashMap<String, Session>>,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    since_ms: i64,
    all: u32,
    by_address: HashMap<Option<IpAddr>, u32>,
}

impl Sessions {
    /// Begins a session; gives the word by which its browser is known.
    pub fn begin(&self, keys: Keys, arn: String, clock: &Arc<dyn Clock>) -> String {
        let (id, now_ms) = (clock.hex(64), clock.now_ms());
        let session = Session { keys, arn, form_token: clock.hex(32), began_ms: now_ms, used_ms: now_ms };
        let mut live = lock(&self.live);
        live.retain(|_, session| session.is_live(now_ms));
        if live.len() >= SESSIONS_MAX
            && let Some(oldest) = live.iter().min_by_key(|(_, s)| s.used_ms).map(|(id, _)| id.clone())
        {
            live.remove(&oldest);
        }
        live.insert(id.clone(), session);
        id
    }

    pub fn find(&self, id: &str, now_ms: i64) -> Option<Session> {
        let mut live = lock(&self.live);
        let session = live.get_mut(id).filter(|session| session.is_live(now_ms))?;
        session.used_ms = now_ms;
        Some(session.clone())
    }

    pub fn end(&self, id: &str) {
        lock(&self.live).remove(id);
    }

    /// Whether somebody at this address may try to sign in now.
    pub fn may_try(&self, address: Option<IpAddr>, now_ms: i64) -> bool {
        let mut failures = lock(&self.failures);
        failures.begin(now_ms);
        failures.all < ALL_ATTEMPTS_MAX
            && failures.by_address.get(&address).is_none_or(|count| *count < ATTEMPTS_MAX)
    }

    pub fn note_failure(&self, address: Option<IpAddr>, now_ms: i64) {
        let mut failures = lock(&self.failures);
        failures.begin(now_ms);
        failures.all += 1;
        *failures.by_address.entry(address).or_default() += 1;
    }
}

impl Session {
    // A clock that was set back ends no session and prolongs none beyond its life.
    fn is_live(&self, now_ms: i64) -> bool {
        (now_ms - self.used_ms).abs() < IDLE_MS && (now_ms - self.began_ms).abs() < LIFE_MS
    }

    pub fn is_form_token(&self, given: &str) -> bool {
        self.form_token.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl Failures {
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
    use model::clock::SimulatedClock;

    use super::*;

    fn keys() -> Keys {
        Keys { access_key_id: "a".into(), secret_access_key: "s".into(), session_token: None }
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_when_it_is_ended() {
        let (sessions, clock) =
            (Sessions::default(), Arc::new(SimulatedClock::new(1_000, 1)) as Arc<dyn Clock>);
        let id = sessions.begin(keys(), "arn".into(), &clock);
        assert!(sessions.find(&id, 1_000 + IDLE_MS - 1).is_some());
        assert!(sessions.find(&id, 1_000 + 2 * IDLE_MS - 2).is_some(), "use prolongs it");
        assert!(sessions.find(&id, 1_000 + LIFE_MS).is_none(), "not beyond its life");
        let other = sessions.begin(keys(), "arn".into(), &clock);
        sessions.end(&other);
        assert!(sessions.find(&other, 1_000).is_none());
    }

    #[test]
    fn one_address_that_guesses_does_not_lock_others_out() {
        let sessions = Sessions::default();
        let (guesser, other) = (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()));
        for _ in 0..ATTEMPTS_MAX {
            assert!(sessions.may_try(guesser, 5));
            sessions.note_failure(guesser, 5);
        }
        assert!(!sessions.may_try(guesser, 5) && sessions.may_try(other, 5));
        assert!(sessions.may_try(guesser, 5 + WINDOW_MS));
    }
}
