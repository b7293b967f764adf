//! What to do about an error: to restore a backup loses what came after it, and is said of damage alone.

use catalog::damage::is_damage;
use model::{Error, ErrorKind};

pub const RESTORE: &str =
    "stop the server, keep the folder as it is, and restore the last backup into a new one";
pub const NEWER: &str = "take the newer version, which wrote it";

const AGAIN: &str = "run this command again";
const LOOK: &str = "run this command as the server's user, where the folder can be written to, and look at the disk: \
                    that it can't be read does not say that it is damaged";

/// What to do when a part of the data folder could not be read.
pub fn of(cause: &Error) -> &'static str {
    match cause.kind {
        _ if is_damage(cause) => RESTORE,
        ErrorKind::InUse => AGAIN,
        _ => LOOK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_damaged_is_restored() {
        assert_eq!(of(&Error::corrupt("a frame is damaged")), RESTORE);
        assert_eq!(of(&Error::unavailable("read it")), LOOK);
        assert_eq!(of(&Error::new(ErrorKind::InUse, "it is being changed")), AGAIN);
    }
}
