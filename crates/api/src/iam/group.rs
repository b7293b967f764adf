//! Groups of users: made, shown, filled, deleted.

use catalog::group::GroupRow;
use model::{Error, ErrorKind};
use wire::query::Xml;

use super::Iam;
use super::input::{Input, cut, write_end};
use super::user;
use crate::reply::Answer;

pub(super) async fn create(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (name, path) = (input.group_name()?, input.path(|b| b.is_ascii_graphic())?);
    let group = GroupRow {
        arn: iam.realm.group(path, name),
        id: format!("AGPA{}", iam.clock.base32(17)),
        name: name.to_owned(),
        path: path.to_owned(),
        created_ms: iam.clock.now_ms(),
    };
    iam.catalog.create_group(&group).await?;
    let mut xml = Xml::new();
    xml.element("Group", |xml| write(xml, &group));
    Ok(xml)
}

/// A group and its members.
pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (group, page) = (find(iam, input.group_name()?).await?, input.page()?);
    let mut users = iam.catalog.group_members(&group.name, page).await?;
    let marker = cut(&mut users, page, |user| &user.name);
    let mut xml = Xml::new();
    xml.element("Group", |xml| write(xml, &group));
    xml.element("Users", |xml| {
        users.iter().for_each(|user| xml.element("member", |xml| user::write(xml, user)));
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let groups = iam.catalog.groups(input.page()?).await?;
    listed(input, groups)
}

pub(super) async fn list_of_user(iam: &Iam, input: &Input) -> Answer<Xml> {
    let groups = iam.catalog.groups_of_user(input.user_name()?, input.page()?).await?;
    listed(input, groups)
}

pub(super) async fn update(iam: &Iam, input: &Input) -> Answer<Xml> {
    let group = find(iam, input.group_name()?).await?;
    let (name, path) = input.new_place(("NewGroupName", 128), &group.name, &group.path)?;
    iam.catalog.rename_group(&group.name, name, path, &iam.realm.group(path, name)).await?;
    Ok(Xml::new())
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.delete_group(input.group_name()?).await?;
    Ok(Xml::new())
}

pub(super) async fn add_user(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.add_group_member(input.group_name()?, input.user_name()?).await?;
    Ok(Xml::new())
}

pub(super) async fn remove_user(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.remove_group_member(input.group_name()?, input.user_name()?).await?;
    Ok(Xml::new())
}

async fn find(iam: &Iam, name: &str) -> Answer<GroupRow> {
    let missing = || Error::new(ErrorKind::NotFound, format!("The group with name {name} cannot be found."));
    Ok(iam.catalog.group(name).await?.ok_or_else(missing)?)
}

fn listed(input: &Input, mut groups: Vec<GroupRow>) -> Answer<Xml> {
    let marker = cut(&mut groups, input.page()?, |group| &group.name);
    let mut xml = Xml::new();
    xml.element("Groups", |xml| {
        groups.iter().for_each(|group| xml.element("member", |xml| write(xml, group)));
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

fn write(xml: &mut Xml, group: &GroupRow) {
    xml.value("Path", &group.path);
    xml.value("GroupName", &group.name);
    xml.value("GroupId", &group.id);
    xml.value("Arn", &group.arn);
    xml.time("CreateDate", group.created_ms);
}
