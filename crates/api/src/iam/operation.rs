//! The table of the operations: their names, what they take, and who does them.

use std::pin::Pin;

use wire::query::Xml;

use super::input::Input;
use super::permission::Subject;
use super::{
    Iam, access_key, attachment, caller, group, inline_policy, policy, role, simulation, sts, tag, user,
};
use crate::reply::Answer;

/// The two services behind this door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Iam,
    Sts,
}

impl Service {
    pub fn version(self) -> &'static str {
        match self {
            Service::Iam => "2010-05-08",
            Service::Sts => "2011-06-15",
        }
    }

    pub fn name_space(self) -> &'static str {
        match self {
            Service::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        }
    }

    /// The service's name in signatures and actions.
    pub fn prefix(self) -> &'static str {
        match self {
            Service::Iam => "iam",
            Service::Sts => "sts",
        }
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Answer<Xml>> + Send + 'a>>;

pub(super) struct Operation {
    pub name: &'static str,
    pub service: Service,
    pub subject: Subject,
    /// What a request may hold; anything else is refused, because to skip it could allow more than was meant.
    pub members: &'static [&'static str],
    pub run: for<'a> fn(&'a Iam, &'a Input) -> Running<'a>,
}

impl Operation {
    /// The permission that a caller needs.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service.prefix(), self.name)
    }
}

pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

macro_rules! iam {
    ($name:literal, $subject:ident, $run:path, [$($member:literal),*]) => {
        Operation {
            name: $name,
            service: Service::Iam,
            subject: Subject::$subject,
            members: &[$($member),*],
            run: |iam, input| Box::pin($run(iam, input)),
        }
    };
}

pub(super) static OPERATIONS: [Operation; 71] = [
    iam!(
        "CreateRole",
        NewRole,
        role::create,
        ["RoleName", "Path", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Tags"]
    ),
    iam!("GetRole", Role, role::get, ["RoleName"]),
    iam!("ListRoles", Roles, role::list, ["PathPrefix", "Marker", "MaxItems"]),
    iam!("DeleteRole", Role, role::delete, ["RoleName"]),
    iam!("UpdateAssumeRolePolicy", Role, role::update_trust, ["RoleName", "PolicyDocument"]),
    iam!("PutRolePolicy", Role, inline_policy::put, ["RoleName", "PolicyName", "PolicyDocument"]),
    iam!("GetRolePolicy", Role, inline_policy::get, ["RoleName", "PolicyName"]),
    iam!("ListRolePolicies", Role, inline_policy::list, ["RoleName", "Marker", "MaxItems"]),
    iam!("DeleteRolePolicy", Role, inline_policy::delete, ["RoleName", "PolicyName"]),
    iam!(
        "CreatePolicy",
        NewPolicy,
        policy::create,
        ["PolicyName", "Path", "PolicyDocument", "Description", "Tags"]
    ),
    iam!("GetPolicy", Policy, policy::get, ["PolicyArn"]),
    iam!("GetPolicyVersion", Policy, policy::get_version, ["PolicyArn", "VersionId"]),
    iam!("ListPolicyVersions", Policy, policy::list_versions, ["PolicyArn", "Marker", "MaxItems"]),
    iam!(
        "ListPolicies",
        Policies,
        policy::list,
        ["Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"]
    ),
    iam!("DeletePolicy", Policy, policy::delete, ["PolicyArn"]),
    iam!("AttachRolePolicy", Role, attachment::attach, ["RoleName", "PolicyArn"]),
    iam!("DetachRolePolicy", Role, attachment::detach, ["RoleName", "PolicyArn"]),
    iam!(
        "ListAttachedRolePolicies",
        Role,
        attachment::list,
        ["RoleName", "PathPrefix", "Marker", "MaxItems"]
    ),
    iam!(
        "ListEntitiesForPolicy",
        Policy,
        attachment::entities,
        ["PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"]
    ),
    iam!("CreateUser", NewUser, user::create, ["UserName", "Path", "Tags"]),
    iam!("GetUser", UserOrCaller, user::get, ["UserName"]),
    iam!("ListUsers", Users, user::list, ["PathPrefix", "Marker", "MaxItems"]),
    iam!("DeleteUser", User, user::delete, ["UserName"]),
    iam!("CreateAccessKey", UserOrCaller, access_key::create, ["UserName"]),
    iam!("ListAccessKeys", UserOrCaller, access_key::list, ["UserName", "Marker", "MaxItems"]),
    iam!("UpdateAccessKey", UserOrCaller, access_key::update, ["UserName", "AccessKeyId", "Status"]),
    iam!("GetAccessKeyLastUsed", KeysUser, access_key::last_used, ["AccessKeyId"]),
    iam!("DeleteAccessKey", UserOrCaller, access_key::delete, ["UserName", "AccessKeyId"]),
    iam!("PutUserPolicy", User, inline_policy::put, ["UserName", "PolicyName", "PolicyDocument"]),
    iam!("GetUserPolicy", User, inline_policy::get, ["UserName", "PolicyName"]),
    iam!("ListUserPolicies", User, inline_policy::list, ["UserName", "Marker", "MaxItems"]),
    iam!("DeleteUserPolicy", User, inline_policy::delete, ["UserName", "PolicyName"]),
    iam!("AttachUserPolicy", User, attachment::attach, ["UserName", "PolicyArn"]),
    iam!("DetachUserPolicy", User, attachment::detach, ["UserName", "PolicyArn"]),
    iam!(
        "ListAttachedUserPolicies",
        User,
        attachment::list,
        ["UserName", "PathPrefix", "Marker", "MaxItems"]
    ),
    iam!("UpdateRole", Role, role::update, ["RoleName", "Description", "MaxSessionDuration"]),
    iam!("UpdateRoleDescription", Role, role::update_description, ["RoleName", "Description"]),
    iam!("ListInstanceProfilesForRole", Role, role::instance_profiles, ["RoleName", "Marker", "MaxItems"]),
    iam!("TagRole", Role, tag::tag_role, ["RoleName", "Tags"]),
    iam!("UntagRole", Role, tag::untag_role, ["RoleName", "TagKeys"]),
    iam!("ListRoleTags", Role, tag::list_of_role, ["RoleName", "Marker", "MaxItems"]),
    iam!("TagUser", User, tag::tag_user, ["UserName", "Tags"]),
    iam!("UntagUser", User, tag::untag_user, ["UserName", "TagKeys"]),
    iam!("ListUserTags", User, tag::list_of_user, ["UserName", "Marker", "MaxItems"]),
    iam!("TagPolicy", Policy, tag::tag_policy, ["PolicyArn", "Tags"]),
    iam!("UntagPolicy", Policy, tag::untag_policy, ["PolicyArn", "TagKeys"]),
    iam!("ListPolicyTags", Policy, tag::list_of_policy, ["PolicyArn", "Marker", "MaxItems"]),
    iam!(
        "CreatePolicyVersion",
        Policy,
        policy::create_version,
        ["PolicyArn", "PolicyDocument", "SetAsDefault"]
    ),
    iam!("SetDefaultPolicyVersion", Policy, policy::set_default_version, ["PolicyArn", "VersionId"]),
    iam!("DeletePolicyVersion", Policy, policy::delete_version, ["PolicyArn", "VersionId"]),
    iam!("UpdateUser", RenamedUser, user::update, ["UserName", "NewUserName", "NewPath"]),
    iam!("CreateGroup", NewGroup, group::create, ["GroupName", "Path"]),
    iam!("GetGroup", Group, group::get, ["GroupName", "Marker", "MaxItems"]),
    iam!("ListGroups", Groups, group::list, ["PathPrefix", "Marker", "MaxItems"]),
    iam!("UpdateGroup", RenamedGroup, group::update, ["GroupName", "NewGroupName", "NewPath"]),
    iam!("DeleteGroup", Group, group::delete, ["GroupName"]),
    iam!("AddUserToGroup", Group, group::add_user, ["GroupName", "UserName"]),
    iam!("RemoveUserFromGroup", Group, group::remove_user, ["GroupName", "UserName"]),
    iam!("ListGroupsForUser", User, group::list_of_user, ["UserName", "Marker", "MaxItems"]),
    iam!("PutGroupPolicy", Group, inline_policy::put, ["GroupName", "PolicyName", "PolicyDocument"]),
    iam!("GetGroupPolicy", Group, inline_policy::get, ["GroupName", "PolicyName"]),
    iam!("ListGroupPolicies", Group, inline_policy::list, ["GroupName", "Marker", "MaxItems"]),
    iam!("DeleteGroupPolicy", Group, inline_policy::delete, ["GroupName", "PolicyName"]),
    iam!("AttachGroupPolicy", Group, attachment::attach, ["GroupName", "PolicyArn"]),
    iam!("DetachGroupPolicy", Group, attachment::detach, ["GroupName", "PolicyArn"]),
    iam!(
        "ListAttachedGroupPolicies",
        Group,
        attachment::list,
        ["GroupName", "PathPrefix", "Marker", "MaxItems"]
    ),
    iam!(
        "SimulatePrincipalPolicy",
        Source,
        simulation::of_principal,
        [
            "PolicySourceArn",
            "PolicyInputList",
            "ActionNames",
            "ResourceArns",
            "ContextEntries",
            "Marker",
            "MaxItems"
        ]
    ),
    iam!(
        "SimulateCustomPolicy",
        Anything,
        simulation::of_policies,
        ["PolicyInputList", "ActionNames", "ResourceArns", "ContextEntries", "Marker", "MaxItems"]
    ),
    Operation {
        name: "AssumeRole",
        service: Service::Sts,
        subject: Subject::Nothing,
        members: &[
            "RoleArn",
            "RoleSessionName",
            "DurationSeconds",
            "ExternalId",
            "Policy",
            "PolicyArns",
            "Tags",
            "TransitiveTagKeys",
        ],
        run: |iam, input| Box::pin(sts::assume_role(iam, input)),
    },
    Operation {
        name: "GetSessionToken",
        service: Service::Sts,
        subject: Subject::Nothing,
        members: &["DurationSeconds"],
        run: |iam, input| Box::pin(sts::session_token(iam, input)),
    },
    Operation {
        name: "GetCallerIdentity",
        service: Service::Sts,
        subject: Subject::Nothing,
        members: &[],
        run: |iam, input| Box::pin(caller::identity(iam, input)),
    },
];
