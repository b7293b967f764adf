//! Who am I.

use access::Principal;
use wire::query::Xml;

use super::Iam;
use super::input::Input;
use crate::reply::Answer;

pub(super) async fn identity(iam: &Iam, input: &Input) -> Answer<Xml> {
    let user_id = match &input.principal {
        Principal::Root { .. } => iam.realm.account.clone(),
        Principal::User(user) => user.id.clone(),
        Principal::Session(session) => session.user_id(),
        Principal::AssumedRole(session) => session.user_id(),
    };
    let mut xml = Xml::new();
    xml.value("Arn", input.principal.arn());
    xml.value("UserId", user_id);
    xml.value("Account", &iam.realm.account);
    Ok(xml)
}
