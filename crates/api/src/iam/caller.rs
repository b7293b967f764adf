//! Who am I.

use access::Principal;
use wire::query::Xml;

use super::Iam;
use super::input::Input;
use crate::reply::Answer;

pub(super) async fn identity(iam: &Iam, input: &Input) -> Answer<Xml> {
    let user_id = match &input.principal {
        Principal::Root { .. } => iam.realm.account.clone(),
        // A role that was deleted while its session lives is called by its name.
        Principal::Session(session) => {
            let role = iam.catalog.role_by_arn(&session.role).await?;
            let id = role.map_or_else(|| session.role.resource_name().to_owned(), |role| role.id);
            format!("{id}:{}", session.session.resource_name())
        }
    };
    let mut xml = Xml::new();
    xml.value("Arn", input.principal.arn());
    xml.value("UserId", user_id);
    xml.value("Account", &iam.realm.account);
    Ok(xml)
}
