//! Why a key could not be used.

use model::{Arn, Error, ErrorKind};

use crate::Denial;

/// What stands against the use of a key; each has a code of its own at KMS, and another one at S3.
#[derive(Debug)]
pub enum KeyFault {
    /// No key bears this name.
    NotFound(String),
    /// An ARN of another kind than the operation takes.
    InvalidArn(String),
    Disabled(Arn),
    /// The key is to be deleted.
    PendingDeletion(Arn),
    /// What was to be decrypted was not encrypted by this server, or in another context, or was changed.
    InvalidCiphertext,
    /// The ciphertext was made with another key than the one that the request names.
    IncorrectKey,
    Denied(Denial),
    /// The rows could not be read, or hold nonsense.
    Failed(Error),
}

impl KeyFault {
    /// The text for whoever made the request.
    pub fn message(&self) -> String {
        match self {
            KeyFault::NotFound(text) | KeyFault::InvalidArn(text) => text.clone(),
            KeyFault::Disabled(arn) => format!("{arn} is disabled."),
            KeyFault::PendingDeletion(arn) => format!("{arn} is pending deletion."),
            KeyFault::InvalidCiphertext => {
                "The ciphertext was not made by this key in this encryption context, or it was changed."
                    .to_owned()
            }
            KeyFault::IncorrectKey => {
                "The key ID in the request does not identify a CMK that can perform this operation."
                    .to_owned()
            }
            KeyFault::Denied(denial) => denial.message.clone(),
            KeyFault::Failed(error) => error.message().to_owned(),
        }
    }
}

impl From<Denial> for KeyFault {
    fn from(denial: Denial) -> KeyFault {
        match denial.kind {
            ErrorKind::Denied => KeyFault::Denied(denial),
            _ => KeyFault::Failed(denial.into()),
        }
    }
}

impl From<Error> for KeyFault {
    fn from(error: Error) -> KeyFault {
        KeyFault::Failed(error)
    }
}

impl From<KeyFault> for Error {
    fn from(fault: KeyFault) -> Error {
        let kind = match &fault {
            KeyFault::NotFound(_) => ErrorKind::NotFound,
            KeyFault::Denied(denial) => denial.kind,
            KeyFault::Failed(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        match fault {
            KeyFault::Failed(error) => error,
            fault => Error::new(kind, fault.message()),
        }
    }
}
