//! Time, ids and chance: the one place where they come from, so that a simulation can drive them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where time and chance come from.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// Fills `bytes` with unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Clock + '_ {
    /// A random UUID (version 4) in its usual text form.
    pub fn uuid(&self) -> String {
        let mut b = [0u8; 16];
        self.fill(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let mut text = String::with_capacity(36);
        for (n, byte) in b.iter().enumerate() {
            if matches!(n, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            push_hex(*byte, &mut text);
        }
        text
    }

    /// `n` random lower-case hexadecimal digits.
    pub fn hex(&self, n: usize) -> String {
        let mut bytes = vec![0u8; n.div_ceil(2)];
        self.fill(&mut bytes);
        let mut text = String::with_capacity(2 * bytes.len());
        bytes.iter().for_each(|byte| push_hex(*byte, &mut text));
        text.truncate(n);
        text
    }

    /// `n` random characters of A–Z and 2–7, the alphabet of AWS identifiers.
    pub fn base32(&self, n: usize) -> String {
        let mut bytes = vec![0u8; n];
        self.fill(&mut bytes);
        bytes.iter().map(|b| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(b & 31)])).collect()
    }
}

// Every request gets an id, so this takes no detour over formatting.
fn push_hex(byte: u8, text: &mut String) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
    }
}

/// The machine's clock and its random number generator.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// A clock that stands still until it is moved, with chance from a seed.
pub struct SimulatedClock {
    now_ms: AtomicI64,
    state: AtomicU64,
}

impl SimulatedClock {
    pub fn new(now_ms: i64, seed: u64) -> SimulatedClock {
        SimulatedClock { now_ms: AtomicI64::new(now_ms), state: AtomicU64::new(seed) }
    }

    pub fn advance_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    // SplitMix64: each step of the counter is mixed into one output.
    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15u64;
        let mut z = self.state.fetch_add(step, Ordering::SeqCst).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Clock for SimulatedClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_chance() {
        let (a, b) = (SimulatedClock::new(0, 7), SimulatedClock::new(0, 7));
        assert_eq!((&a as &dyn Clock).uuid(), (&b as &dyn Clock).uuid());
    }

    #[test]
    fn a_uuid_names_its_version() {
        let id = (&SystemClock as &dyn Clock).uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(id.char_indices().all(|(n, c)| match n {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit() && !c.is_ascii_uppercase(),
        }));
    }

    #[test]
    fn hexadecimal_digits_are_as_many_as_asked_for() {
        let clock = SimulatedClock::new(0, 7);
        for n in 0..20 {
            assert_eq!((&clock as &dyn Clock).hex(n).len(), n);
        }
    }
}
