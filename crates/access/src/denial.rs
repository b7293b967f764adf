//! Why a call was refused, for the error's text and for whoever has to mend the policy.

use model::{Arn, Error, ErrorKind};

/// A refusal that says which policy lacks what.
#[derive(Clone, Debug)]
pub struct Denial {
    /// `Denied`, unless the policies could not be read.
    pub kind: ErrorKind,
    pub message: String,
    /// `None` when the policies could not be read.
    pub reason: Option<Reason>,
}

/// What stands against a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    NoIdentityPolicy,
    NoResourcePolicy,
    NoSessionPolicy,
    DeniedByIdentityPolicy,
    DeniedByResourcePolicy,
    DeniedBySessionPolicy,
}

impl Reason {
    /// Whether a statement denies the call; to be the owner of something does not help then.
    pub fn is_explicit(self) -> bool {
        matches!(
            self,
            Reason::DeniedByIdentityPolicy | Reason::DeniedByResourcePolicy | Reason::DeniedBySessionPolicy
        )
    }
}

impl Denial {
    /// A denial in the words of AWS; `resource` is an ARN, or `*` where there is none.
    pub fn new(caller: &Arn, action: &str, resource: &str, reason: Reason) -> Denial {
        let because = match reason {
            Reason::NoIdentityPolicy => {
                format!("because no identity-based policy allows the {action} action")
            }
            Reason::NoResourcePolicy => {
                format!("because no resource-based policy allows the {action} action")
            }
            Reason::NoSessionPolicy => format!("because no session policy allows the {action} action"),
            Reason::DeniedBySessionPolicy => "with an explicit deny in a session policy".to_owned(),
            Reason::DeniedByIdentityPolicy => "with an explicit deny in an identity-based policy".to_owned(),
            Reason::DeniedByResourcePolicy => "with an explicit deny in a resource-based policy".to_owned(),
        };
        let message = format!(
            "User: {caller} is not authorized to perform: {action} on resource: {resource} {because}"
        );
        Denial { kind: ErrorKind::Denied, message, reason: Some(reason) }
    }
}

impl From<Denial> for Error {
    fn from(denial: Denial) -> Error {
        Error::new(denial.kind, denial.message)
    }
}

/// What can't be decided is refused.
impl From<Error> for Denial {
    fn from(error: Error) -> Denial {
        Denial { kind: error.kind, message: error.message().to_owned(), reason: None }
    }
}
