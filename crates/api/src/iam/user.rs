//! Users: made, shown, renamed, deleted.

use access::Principal;
use catalog::user::UserRow;
use model::{Error, ErrorKind};
use wire::query::Xml;

use super::Iam;
use super::input::{Input, cut, write_end, write_tags};
use crate::reply::Answer;

pub(super) async fn create(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (name, path) = (input.user_name()?, input.path(|b| b.is_ascii_graphic())?);
    let user = UserRow {
        arn: iam.realm.user(path, name),
        id: format!("AIDA{}", iam.clock.base32(17)),
        name: name.to_owned(),
        path: path.to_owned(),
        tags: input.tags()?,
        created_ms: iam.clock.now_ms(),
    };
    iam.catalog.create_user(&user).await?;
    let mut xml = Xml::new();
    xml.element("User", |xml| {
        write(xml, &user);
        write_tags(xml, &user.tags);
    });
    Ok(xml)
}

/// The user that is named, or whoever asks.
pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let mut xml = Xml::new();
    if let (Principal::Root { arn }, None) = (&input.principal, input.given("UserName")) {
        xml.element("User", |xml| {
            xml.value("UserId", &iam.realm.account);
            xml.value("Arn", arn);
        });
        return Ok(xml);
    }
    let name = input.user_name_or_own()?;
    let missing = || Error::new(ErrorKind::NotFound, format!("The user with name {name} cannot be found."));
    let user = iam.catalog.user(name).await?.ok_or_else(missing)?;
    xml.element("User", |xml| {
        write(xml, &user);
        write_tags(xml, &user.tags);
    });
    Ok(xml)
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut users = iam.catalog.users(page).await?;
    let marker = cut(&mut users, page, |user| &user.name);
    let mut xml = Xml::new();
    xml.element("Users", |xml| users.iter().for_each(|user| xml.element("member", |xml| write(xml, user))));
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn update(iam: &Iam, input: &Input) -> Answer<Xml> {
    let name = input.user_name()?;
    let missing = || Error::new(ErrorKind::NotFound, format!("The user with name {name} cannot be found."));
    let user = iam.catalog.user(name).await?.ok_or_else(missing)?;
    let (name, path) = input.new_place(("NewUserName", 64), &user.name, &user.path)?;
    iam.catalog.rename_user(&user.name, name, path, &iam.realm.user(path, name)).await?;
    iam.access.load_access_keys().await?;
    Ok(Xml::new())
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.delete_user(input.user_name()?).await?;
    Ok(Xml::new())
}

pub(super) fn write(xml: &mut Xml, user: &UserRow) {
    xml.value("Path", &user.path);
    xml.value("UserName", &user.name);
    xml.value("UserId", &user.id);
    xml.value("Arn", &user.arn);
    xml.time("CreateDate", user.created_ms);
}
