//! The space that pieces of output are written to, used again when they are done with.

use std::sync::{Mutex, PoisonError};

/// A piece is handed on when it has grown to this size.
pub const PIECE_BYTES: usize = 256 << 10;
/// What a piece may grow beyond its size before it is handed on; a longer line makes the space grow.
const SLACK_BYTES: usize = 16 << 10;

/// Space for pieces, which many threads take and one gives back.
#[derive(Default)]
pub struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    /// Space of a piece's size, of bytes that say nothing.
    pub fn take(&self) -> Vec<u8> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut space = used.unwrap_or_default();
        space.resize(PIECE_BYTES + SLACK_BYTES, 0);
        space
    }

    pub fn give_back(&self, space: Vec<u8>) {
        if space.capacity() <= 2 * PIECE_BYTES {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(space);
        }
    }
}
