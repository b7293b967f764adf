//! The bytes of a part, in space that is used again once everybody is done with them.

use std::sync::{Arc, Mutex, PoisonError};

/// What a file is handed over in.
#[derive(Debug)]
pub struct Part {
    bytes: Vec<u8>,
    space: Space,
}

/// Space for parts: there is as much as parts were under way at once.
#[derive(Clone, Debug, Default)]
pub struct Space(Arc<Mutex<Vec<Vec<u8>>>>);

impl Space {
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// The bytes as a part, whose space comes back.
    pub fn part(&self, bytes: Vec<u8>) -> Part {
        Part { bytes, space: self.clone() }
    }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.space.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_of_a_part_comes_back() {
        let space = Space::default();
        let mut bytes = space.take();
        bytes.reserve_exact(100);
        let at = bytes.as_ptr();
        bytes.push(7);
        let part = space.part(bytes);
        assert_eq!(part.as_ref(), [7]);
        drop(part);
        let again = space.take();
        assert!(again.is_empty() && again.as_ptr() == at);
    }
}
