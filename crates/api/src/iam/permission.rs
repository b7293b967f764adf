//! Whether a caller may do an operation of IAM, which asks on a user, a group, a role or a policy of the account.

use access::{Context, Denial};
use model::Arn;

use super::Iam;
use super::input::Input;
use super::operation::Operation;
use crate::reply::Answer;

/// What an operation asks its permission on. Source: "Actions, resources, and condition keys for IAM".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Nothing is asked: everybody may know who it is.
    Nothing,
    NewUser,
    /// The user that is named.
    User,
    /// The user that is named, or the caller.
    UserOrCaller,
    /// The user whose access key is named.
    KeysUser,
    /// The users below a path.
    Users,
    /// The user that is named, under its old name and its new one.
    RenamedUser,
    NewGroup,
    Group,
    RenamedGroup,
    Groups,
    NewRole,
    Role,
    Roles,
    NewPolicy,
    Policy,
    Policies,
    /// The user, group or role whose policies are asked.
    Source,
    /// No resource of its own: `*`.
    Anything,
}

/// A resource: by which ARN policies name it, how a denial calls it, and its tags.
struct Resource {
    arn: String,
    /// Without the path of what may not even be known to exist.
    shown: String,
    tags: Vec<(String, String)>,
}

/// # Errors
/// `Denied` with the text that AWS gives, whether the resource exists or not; `Invalid` for a name of another form.
pub(super) async fn check(iam: &Iam, input: &Input, operation: &Operation) -> Answer<()> {
    if operation.subject == Subject::Nothing {
        return Ok(());
    }
    let resource = resource(iam, input, operation.subject).await?;
    let context = context(input, operation, &resource)?;
    authorize(iam, input, &operation.action(), &resource, &context).await?;
    if let Some(renamed) = renamed(iam, input, operation.subject).await? {
        authorize(iam, input, &operation.action(), &renamed, &context).await?;
    }
    match tagging(operation.subject) {
        Some(action) if !input.tags()?.is_empty() => authorize(iam, input, action, &resource, &context).await,
        _ => Ok(()),
    }
}

async fn authorize(
    iam: &Iam,
    input: &Input,
    action: &str,
    resource: &Resource,
    context: &Context,
) -> Answer<()> {
    let principal = &input.principal;
    let decision = iam.access.permit_account(principal, action, &resource.arn, context).await;
    let told = |denial: Denial| match denial.reason {
        Some(reason) => Denial::new(principal.arn(), action, &resource.shown, reason),
        None => denial,
    };
    Ok(decision.map_err(|denial| model::Error::from(told(denial)))?)
}

fn tagging(subject: Subject) -> Option<&'static str> {
    match subject {
        Subject::NewUser => Some("iam:TagUser"),
        Subject::NewRole => Some("iam:TagRole"),
        Subject::NewPolicy => Some("iam:TagPolicy"),
        _ => None,
    }
}

async fn resource(iam: &Iam, input: &Input, subject: Subject) -> Answer<Resource> {
    let realm = &iam.realm;
    Ok(match subject {
        Subject::Nothing => Resource::new(&realm.root()),
        Subject::NewUser => Resource::new(&realm.user(input.some_path()?, input.user_name()?)),
        Subject::NewGroup => Resource::new(&realm.group(input.some_path()?, input.group_name()?)),
        Subject::NewRole => Resource::new(&realm.role(input.some_path()?, input.role_name()?)),
        Subject::NewPolicy => Resource::new(&realm.policy(input.some_path()?, input.policy_name()?)),
        Subject::User | Subject::RenamedUser => user(iam, input.user_name()?).await?,
        Subject::Group | Subject::RenamedGroup => group(iam, input.group_name()?).await?,
        Subject::Groups => Resource::new(&realm.group(input.page()?.path_prefix, "")),
        Subject::Source => Resource::new(&input.source_arn()?),
        Subject::Anything => Resource { arn: "*".into(), shown: "*".into(), tags: Vec::new() },
        Subject::UserOrCaller if input.is_root_itself() => Resource::new(&realm.root()),
        Subject::UserOrCaller => user(iam, input.user_name_or_own()?).await?,
        Subject::KeysUser => keys_user(iam, input.access_key_id()?).await?,
        Subject::Role => role(iam, input.role_name()?).await?,
        Subject::Policy => policy(iam, input.policy_arn()?).await?,
        Subject::Users => Resource::new(&realm.user(input.page()?.path_prefix, "")),
        Subject::Roles => Resource::new(&realm.role(input.page()?.path_prefix, "")),
        Subject::Policies => Resource::new(&realm.policy(input.page()?.path_prefix, "")),
    })
}

async fn user(iam: &Iam, name: &str) -> Answer<Resource> {
    let found = iam.catalog.user(name).await?.map(|user| (user.arn, user.tags));
    let (arn, tags) = found.unwrap_or_else(|| (iam.realm.user("/", name), Vec::new()));
    Ok(Resource { arn: arn.to_string(), shown: format!("user {name}"), tags })
}

// Who may ask of no user's keys does not learn which there are.
async fn keys_user(iam: &Iam, key: &str) -> Answer<Resource> {
    let found = iam.catalog.access_key_use(key).await?;
    let arn = found.map_or_else(|| iam.realm.user("/", "*").to_string(), |found| found.user_arn);
    Ok(Resource { arn, shown: format!("access key {key}"), tags: Vec::new() })
}

async fn group(iam: &Iam, name: &str) -> Answer<Resource> {
    let found = iam.catalog.group(name).await?.map(|group| group.arn);
    let arn = found.unwrap_or_else(|| iam.realm.group("/", name));
    Ok(Resource { arn: arn.to_string(), shown: format!("group {name}"), tags: Vec::new() })
}

// As what a user or group will be known.
async fn renamed(iam: &Iam, input: &Input, subject: Subject) -> Answer<Option<Resource>> {
    let arn = match subject {
        Subject::RenamedUser => {
            let Some(user) = iam.catalog.user(input.user_name()?).await? else { return Ok(None) };
            let (name, path) = input.new_place(("NewUserName", 64), &user.name, &user.path)?;
            iam.realm.user(path, name)
        }
        Subject::RenamedGroup => {
            let Some(group) = iam.catalog.group(input.group_name()?).await? else { return Ok(None) };
            let (name, path) = input.new_place(("NewGroupName", 128), &group.name, &group.path)?;
            iam.realm.group(path, name)
        }
        _ => return Ok(None),
    };
    Ok(Some(Resource::new(&arn)))
}

async fn role(iam: &Iam, name: &str) -> Answer<Resource> {
    let found = iam.catalog.role(name).await?.map(|role| (role.arn, role.tags));
    let (arn, tags) = found.unwrap_or_else(|| (iam.realm.role("/", name), Vec::new()));
    Ok(Resource { arn: arn.to_string(), shown: format!("role {name}"), tags })
}

async fn policy(iam: &Iam, arn: &str) -> Answer<Resource> {
    let tags = iam.catalog.policy(arn).await?.map(|(policy, _)| policy.tags).unwrap_or_default();
    Ok(Resource { arn: arn.to_owned(), shown: format!("policy {arn}"), tags })
}

impl Resource {
    fn new(arn: &Arn) -> Resource {
        Resource { arn: arn.to_string(), shown: arn.to_string(), tags: Vec::new() }
    }
}

fn context(input: &Input, operation: &Operation, resource: &Resource) -> Answer<Context> {
    let asked = input.tags()?;
    let pairs = |tags| <[(String, String)]>::iter(tags).map(|(key, value)| (key.as_str(), value.as_str()));
    let context = Context::from_peer(input.peer)
        .with_request_tags(pairs(&asked))
        .with_tags("aws:ResourceTag", pairs(&resource.tags))
        .with_tags("iam:ResourceTag", pairs(&resource.tags));
    let gone = input.tag_keys()?;
    let context = gone.iter().fold(context, |context, key| context.with("aws:TagKeys", key.as_str()));
    // Who attaches policies for others may be kept to some of them.
    match operation.subject {
        Subject::User | Subject::Group | Subject::Role if operation.members.contains(&"PolicyArn") => {
            Ok(context.with("iam:PolicyARN", input.policy_arn()?))
        }
        _ => Ok(context),
    }
}
