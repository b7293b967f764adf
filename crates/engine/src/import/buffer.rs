//! Buffers that come back: a thread that is done with a chunk leaves its memory for one that is still to be read.

use std::ops::Deref;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Bytes on loan; their memory goes home when they are dropped.
pub struct Buffer {
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

/// Where buffers are at home.
pub struct Buffers {
    home: Sender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
}

impl Buffers {
    pub fn new() -> Buffers {
        let (home, returned) = channel();
        Buffers { home, returned }
    }

    /// An empty vector, in the memory of a buffer that came back. One that grew far beyond `usual_bytes` is given up.
    pub fn take(&self, usual_bytes: usize) -> Vec<u8> {
        let mut returned = self.returned.try_iter().filter(|bytes| bytes.capacity() <= 4 * usual_bytes);
        returned.next().unwrap_or_default()
    }

    pub fn lend(&self, bytes: Vec<u8>) -> Buffer {
        Buffer { bytes, home: self.home.clone() }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        // The file may have ended, and its buffers with it.
        _ = self.home.send(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_the_next_one() {
        let buffers = Buffers::new();
        let lent = buffers.lend(Vec::with_capacity(100));
        assert_eq!(buffers.take(100).capacity(), 0);
        drop(lent);
        let again = buffers.take(100);
        assert!(again.is_empty() && again.capacity() == 100);
    }

    #[test]
    fn a_buffer_that_grew_is_given_up() {
        let buffers = Buffers::new();
        drop(buffers.lend(Vec::with_capacity(401)));
        drop(buffers.lend(Vec::with_capacity(400)));
        assert_eq!(buffers.take(100).capacity(), 400);
        assert_eq!(buffers.take(100).capacity(), 0);
    }

    #[test]
    fn a_buffer_may_outlive_its_home() {
        let lent = Buffers::new().lend(vec![7]);
        assert_eq!(*lent, [7]);
    }
}
