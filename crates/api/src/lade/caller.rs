//! The caller: whose keys a request is signed with. STS tells the same, but only where its door is open.

use serde::Serialize;

use crate::call::Call;

#[derive(Serialize)]
pub struct Caller {
    arn: String,
}

/// Shows who calls; whoever's signature is right may know.
pub fn show(call: &Call) -> Caller {
    Caller { arn: call.principal.arn().to_string() }
}
