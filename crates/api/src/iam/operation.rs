//! The table of the operations: their names, what they take, and who does them.

use std::pin::Pin;

use wire::query::Xml;

use super::input::Input;
use super::{Iam, attachment, caller, policy, role, role_policy};
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
    /// What a request may hold; anything else is refused, because to skip it could allow more than was meant.
    pub members: &'static [&'static str],
    pub run: for<'a> fn(&'a Iam, &'a Input) -> Running<'a>,
}

impl Operation {
    /// The permission that a caller needs.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service.prefix(), self.name)
    }

    pub fn is_for_everybody(&self) -> bool {
        self.name == "GetCallerIdentity"
    }
}

pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

macro_rules! iam {
    ($name:literal, $run:path, [$($member:literal),*]) => {
        Operation {
            name: $name,
            service: Service::Iam,
            members: &[$($member),*],
            run: |iam, input| Box::pin($run(iam, input)),
        }
    };
}

static OPERATIONS: [Operation; 20] = [
    iam!(
        "CreateRole",
        role::create,
        ["RoleName", "Path", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Tags"]
    ),
    iam!("GetRole", role::get, ["RoleName"]),
    iam!("ListRoles", role::list, ["PathPrefix", "Marker", "MaxItems"]),
    iam!("DeleteRole", role::delete, ["RoleName"]),
    iam!("UpdateAssumeRolePolicy", role::update_trust, ["RoleName", "PolicyDocument"]),
    iam!("PutRolePolicy", role_policy::put, ["RoleName", "PolicyName", "PolicyDocument"]),
    iam!("GetRolePolicy", role_policy::get, ["RoleName", "PolicyName"]),
    iam!("ListRolePolicies", role_policy::list, ["RoleName", "Marker", "MaxItems"]),
    iam!("DeleteRolePolicy", role_policy::delete, ["RoleName", "PolicyName"]),
    iam!("CreatePolicy", policy::create, ["PolicyName", "Path", "PolicyDocument", "Description", "Tags"]),
    iam!("GetPolicy", policy::get, ["PolicyArn"]),
    iam!("GetPolicyVersion", policy::get_version, ["PolicyArn", "VersionId"]),
    iam!("ListPolicyVersions", policy::list_versions, ["PolicyArn", "Marker", "MaxItems"]),
    iam!(
        "ListPolicies",
        policy::list,
        ["Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"]
    ),
    iam!("DeletePolicy", policy::delete, ["PolicyArn"]),
    iam!("AttachRolePolicy", attachment::attach, ["RoleName", "PolicyArn"]),
    iam!("DetachRolePolicy", attachment::detach, ["RoleName", "PolicyArn"]),
    iam!("ListAttachedRolePolicies", attachment::list, ["RoleName", "PathPrefix", "Marker", "MaxItems"]),
    iam!(
        "ListEntitiesForPolicy",
        attachment::entities,
        ["PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"]
    ),
    Operation {
        name: "GetCallerIdentity",
        service: Service::Sts,
        members: &[],
        run: |iam, input| Box::pin(caller::identity(iam, input)),
    },
];
