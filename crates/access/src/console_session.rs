//! Sessions of the console, as all nodes know them: in the catalog, under a name that tells nothing, sealed.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Result;

use crate::Access;
use crate::seal::SealingKey;

/// What sessions of the console are sealed for.
const PURPOSE: &[u8] = b"sessions of the console";
/// A session that is not used for so long has ended.
const IDLE_MS: i64 = 8 * 3600 * 1000;
const LIFE_MS: i64 = 24 * 3600 * 1000;
/// A session's use is written down at most this often.
const NOTED_EVERY_MS: i64 = 60_000;

impl Access {
    /// Keeps what a session holds; gives the word by which its browser is known.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be written.
    pub async fn begin_console_session(&self, held: &[u8]) -> Result<String> {
        let word = self.clock.hex(64);
        let (id, now_ms) = (id(&word), self.clock.now_ms());
        let sealed = self.console_key().seal(&*self.clock, held, id.as_bytes());
        self.catalog.begin_console_session(&id, &sealed, now_ms - LIFE_MS, now_ms - IDLE_MS).await?;
        Ok(word)
    }

    /// What a session holds, while it lasts; asking prolongs it.
    ///
    /// # Errors
    /// `Unavailable` when the catalog does not answer.
    pub async fn console_session(&self, word: &str) -> Result<Option<Vec<u8>>> {
        let (id, now_ms) = (id(word), self.clock.now_ms());
        let Some(row) = self.catalog.console_session(&id).await? else { return Ok(None) };
        // A clock that was set back ends no session and prolongs none beyond its life.
        let idle_ms = (now_ms - row.used_ms).abs();
        if idle_ms >= IDLE_MS || (now_ms - row.began_ms).abs() >= LIFE_MS {
            return Ok(None);
        }
        if idle_ms >= NOTED_EVERY_MS {
            self.catalog.use_console_session(&id).await?;
        }
        Ok(self.console_key().open(&row.sealed, id.as_bytes()))
    }

    /// Ends a session on all nodes.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be written.
    pub async fn end_console_session(&self, word: &str) -> Result<()> {
        self.catalog.end_console_session(&id(word)).await
    }

    fn console_key(&self) -> SealingKey {
        self.master.derive(PURPOSE)
    }
}

// Whoever reads the catalog can't take a browser's place.
fn id(word: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, word.as_bytes()))
}
