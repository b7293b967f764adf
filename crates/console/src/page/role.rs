//! Roles: the list, a new one for Personalize, and one with its policies.

use askama::Template;
use http::StatusCode;
use percent_encoding::percent_decode_str;

use super::confirm::Question;
use super::{Frame, bucket, policies};
use crate::client::{Answer, Client, Refusal, segment};
use crate::markup::pretty;
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

const HOME: &str = "/console/roles";
/// So many buckets, at most, stand in the policy that is proposed for a new role.
const BUCKETS_MAX: usize = 5;

struct RoleRow {
    name: String,
    path: String,
    arn: String,
    created: String,
}

#[derive(Template)]
#[template(path = "roles.html")]
struct List {
    frame: Frame,
    rows: Vec<RoleRow>,
}

#[derive(Template)]
#[template(path = "role_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    name: &'a str,
    trust: String,
    policy_name: &'a str,
    policy: String,
    /// Whether the proposed policy is about buckets that there are.
    has_buckets: bool,
}

struct PolicyRow {
    name: String,
    path: String,
    document: String,
}

#[derive(Template)]
#[template(path = "role.html")]
struct Show<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    path: String,
    arn: String,
    created: String,
    trust: String,
    policies: Vec<PolicyRow>,
    attached: Vec<String>,
}

#[derive(Template)]
#[template(path = "role_policy.html")]
struct EditPolicy<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    name: &'a str,
    document: String,
}

fn path(role: &str) -> String {
    format!("{HOME}/{}", segment(role))
}

pub async fn list(visit: &Visit<'_>) -> Shown {
    let listed = visit.client().iam("ListRoles", &[("MaxItems", "1000")]).await?;
    let row = |role: &crate::xml::Element| {
        let name = role.text_of(&["RoleName"]).to_owned();
        RoleRow {
            path: path(&name),
            arn: role.text_of(&["Arn"]).to_owned(),
            created: role.text_of(&["CreateDate"]).to_owned(),
            name,
        }
    };
    let rows = listed.members("Roles").map(row).collect();
    Ok(reply::page(StatusCode::OK, &List { frame: visit.frame("IAM roles", &[]), rows }))
}

pub async fn create(visit: &Visit<'_>) -> Shown {
    let form = &visit.form;
    let name = form.get("name");
    let policy_name = form.given("policy-name").unwrap_or("PersonalizeS3Access");
    let mut problem = None;
    if visit.is_post() {
        match make(&visit.client(), name, form.raw("trust"), policy_name, form.raw("policy")).await {
            Ok(()) => return Ok(reply::to(&path(name))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let buckets = bucket::names(&visit.client()).await.unwrap_or_default();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).take(BUCKETS_MAX).collect();
    let or = |field: &str, proposal: String| match form.raw(field) {
        "" => proposal,
        given => given.to_owned(),
    };
    let trust = policies::trust(&visit.console.realm.account);
    let of_buckets = policies::of_role(if buckets.is_empty() { &["bucket-name"] } else { &buckets });
    let problem = problem.as_ref();
    let page = Create {
        frame: visit.frame("Create role", &[("IAM roles", HOME.to_owned())]),
        problem,
        name,
        trust: or("trust", trust),
        policy_name,
        policy: or("policy", of_buckets),
        has_buckets: !buckets.is_empty(),
    };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

// A role whose policy is refused is taken back: the form comes again with both.
async fn make(client: &Client<'_>, name: &str, trust: &str, policy_name: &str, policy: &str) -> Answer<()> {
    client.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", trust)]).await?;
    if policy.trim().is_empty() {
        return Ok(());
    }
    let named = [("RoleName", name), ("PolicyName", policy_name), ("PolicyDocument", policy)];
    let put = client.iam("PutRolePolicy", &named).await;
    if put.is_err() {
        let _ = client.iam("DeleteRole", &[("RoleName", name)]).await;
    }
    put.map(drop)
}

pub async fn show(visit: &Visit<'_>, name: &str) -> Shown {
    let client = visit.client();
    let mut problem = None;
    if visit.is_post() {
        let trust = visit.form.raw("trust");
        let input = [("RoleName", name), ("PolicyDocument", trust)];
        match client.iam("UpdateAssumeRolePolicy", &input).await {
            Ok(_) => return Ok(reply::to(&path(name))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let role = client.iam("GetRole", &[("RoleName", name)]).await?;
    let of = |member: &str| role.text_of(&["Role", member]).to_owned();
    let listed = client.iam("ListRolePolicies", &[("RoleName", name)]).await?;
    let mut policies = Vec::new();
    for policy in listed.members("PolicyNames") {
        let document = document(&client, name, &policy.text).await?;
        let path = format!("{}/policies/{}", path(name), segment(&policy.text));
        policies.push(PolicyRow { name: policy.text.clone(), path, document });
    }
    let attached = client.iam("ListAttachedRolePolicies", &[("RoleName", name)]).await?;
    let arn = |policy: &crate::xml::Element| policy.text_of(&["PolicyArn"]).to_owned();
    let problem = problem.as_ref();
    let trust = match problem {
        Some(_) => visit.form.raw("trust").to_owned(),
        None => pretty(&decoded(&of("AssumeRolePolicyDocument"))),
    };
    let page = Show {
        frame: visit.frame(name, &[("IAM roles", HOME.to_owned())]),
        problem,
        path: path(name),
        arn: of("Arn"),
        created: of("CreateDate"),
        trust,
        policies,
        attached: attached.members("AttachedPolicies").map(arn).collect(),
    };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

/// A policy of a role: shown to be edited; a new one has no text yet; one without a text is deleted.
pub async fn policy(visit: &Visit<'_>, role: &str, policy: &str) -> Shown {
    let client = visit.client();
    let name = if policy == "new" { visit.form.get("name") } else { policy };
    let mut problem = None;
    if visit.is_post() {
        let text = visit.form.get("document");
        let done = match text {
            "" => client.iam("DeleteRolePolicy", &[("RoleName", role), ("PolicyName", name)]).await,
            text => {
                let named = [("RoleName", role), ("PolicyName", name), ("PolicyDocument", text)];
                client.iam("PutRolePolicy", &named).await
            }
        };
        match done {
            Ok(_) => return Ok(reply::to(&path(role))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let problem = problem.as_ref();
    let document = match (problem, policy) {
        (Some(_), _) => visit.form.raw("document").to_owned(),
        (None, "new") => String::new(),
        (None, policy) => document(&client, role, policy).await?,
    };
    let frame = visit.frame("Role policy", &[("IAM roles", HOME.to_owned()), (role, path(role))]);
    let name = if policy == "new" { visit.form.get("name") } else { policy };
    let page = EditPolicy { frame, problem, name, document };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

/// Asks, then deletes a role with its own policies; those of the account are detached.
pub async fn delete(visit: &Visit<'_>, role: &str) -> Shown {
    let mut problem = None;
    if visit.is_post() {
        match remove(&visit.client(), role).await {
            Ok(()) => return Ok(reply::to(HOME)),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let used = "Jobs that name it fail from now on, and running ones when their keys run out.";
    Question {
        frame: visit.frame("Delete role", &[("IAM roles", HOME.to_owned()), (role, path(role))]),
        problem: problem.as_ref(),
        losses: vec![format!("The role {role} and its policies are deleted."), used.to_owned()],
        word: "Delete",
        back: path(role),
        call: Some(("aws iam delete-role --role-name {arn}", role.to_owned())),
        fields: vec![],
    }
    .ask()
}

async fn remove(client: &Client<'_>, role: &str) -> Answer<()> {
    let named = ("RoleName", role);
    let attached = client.iam("ListAttachedRolePolicies", &[named]).await?;
    for policy in attached.members("AttachedPolicies") {
        let arn = policy.text_of(&["PolicyArn"]);
        client.iam("DetachRolePolicy", &[named, ("PolicyArn", arn)]).await?;
    }
    let own = client.iam("ListRolePolicies", &[named]).await?;
    for policy in own.members("PolicyNames") {
        client.iam("DeleteRolePolicy", &[named, ("PolicyName", &policy.text)]).await?;
    }
    client.iam("DeleteRole", &[named]).await.map(drop)
}

async fn document(client: &Client<'_>, role: &str, policy: &str) -> Answer<String> {
    let got = client.iam("GetRolePolicy", &[("RoleName", role), ("PolicyName", policy)]).await?;
    Ok(pretty(&decoded(got.text_of(&["PolicyDocument"]))))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
