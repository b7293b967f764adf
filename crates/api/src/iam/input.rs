//! What a request holds, checked as the service model checks it.

use access::{Peer, Principal};
use catalog::Identity;
use catalog::role::Names;
use model::{Arn, Error};
use wire::query::{Form, Xml};

use super::fault;
use super::operation::Operation;
use super::permission::Subject;
use crate::call::Call;
use crate::reply::{Answer, Failure};

/// The members of one request.
pub(super) struct Input {
    form: Form,
    pub principal: Principal,
    pub peer: Option<Peer>,
    /// Whether the caller bears keys of a session.
    pub is_temporary: bool,
    subject: Subject,
}

const NAME_PATTERN: &str = r"Member must satisfy regular expression pattern: [\w+=,.@-]+";
pub(super) const TAGS_MAX: usize = 50;
const SESSION_NAME_PATTERN: &str = r"Member must satisfy regular expression pattern: [\w+=,.@-]*";
const EXTERNAL_ID_PATTERN: &str = r"Member must satisfy regular expression pattern: [\w+=,.@:\/-]*";

impl Input {
    /// # Errors
    /// A member that the operation does not take; one that AWS knows may have been meant to restrict something.
    pub fn new(form: Form, operation: &Operation, call: &Call) -> Answer<Input> {
        let is_known = |name: &str| matches!(name, "Action" | "Version") || operation.members.contains(&name);
        if let Some(name) = form.names().find(|name| !is_known(name)) {
            let text = format!("{} with {name} is not offered by this server.", operation.name);
            return Err(fault("InvalidInput", text));
        }
        let (principal, peer) = (call.principal.clone(), call.peer);
        let (is_temporary, subject) = (call.is_temporary, operation.subject);
        Ok(Input { form, principal, peer, is_temporary, subject })
    }

    /// A name of at most `length_max` characters.
    pub fn name(&self, member: &str, length_max: usize) -> Answer<&str> {
        let name = self.required(member)?;
        check_length(member, name, 1, length_max)?;
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        check(member, name.bytes().all(is_allowed), NAME_PATTERN)?;
        Ok(name)
    }

    pub fn role_name(&self) -> Answer<&str> {
        self.name("RoleName", 64)
    }

    pub fn user_name(&self) -> Answer<&str> {
        self.name("UserName", 64)
    }

    pub fn group_name(&self) -> Answer<&str> {
        self.name("GroupName", 128)
    }

    /// The user, group or role that the operation is about.
    pub fn identity(&self) -> Answer<Identity<'_>> {
        Ok(match self.subject {
            Subject::Role => Identity::Role(self.role_name()?),
            Subject::Group => Identity::Group(self.group_name()?),
            _ => Identity::User(self.user_name()?),
        })
    }

    /// The name, of at most `length_max` characters, and the path that something is to have; those that it has where
    /// no others are given.
    pub fn new_place<'a>(
        &'a self,
        (member, length_max): (&str, usize),
        name: &'a str,
        path: &'a str,
    ) -> Answer<(&'a str, &'a str)> {
        let name = if self.given(member).is_some() { self.name(member, length_max)? } else { name };
        let new_path = self.given("NewPath").map(|_| self.path_in("NewPath", |b| b.is_ascii_graphic()));
        Ok((name, new_path.transpose()?.unwrap_or(path)))
    }

    /// The ARN of a role of this account or any other.
    pub fn role_arn(&self) -> Answer<Arn> {
        let text = self.required("RoleArn")?;
        check_length("RoleArn", text, 20, 2048)?;
        let arn = Arn::parse(text).filter(|arn| arn.service() == "iam" && arn.resource_type() == "role");
        Ok(arn.ok_or_else(|| Error::invalid(format!("{text} is invalid")))?)
    }

    pub fn session_name(&self) -> Answer<&str> {
        let name = self.required("RoleSessionName")?;
        check_length("RoleSessionName", name, 2, 64)?;
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        check("RoleSessionName", name.bytes().all(is_allowed), SESSION_NAME_PATTERN)?;
        Ok(name)
    }

    pub fn external_id(&self) -> Answer<Option<&str>> {
        let Some(id) = self.given("ExternalId") else { return Ok(None) };
        check_length("ExternalId", id, 2, 1224)?;
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
        check("ExternalId", id.bytes().all(is_allowed), EXTERNAL_ID_PATTERN)?;
        Ok(Some(id))
    }

    /// The ARN of the user, group or role whose policies are asked.
    pub fn source_arn(&self) -> Answer<Arn> {
        let text = self.required("PolicySourceArn")?;
        check_length("PolicySourceArn", text, 20, 2048)?;
        Arn::parse(text).ok_or_else(|| fault("InvalidInput", format!("ARN {text} is not valid.")))
    }

    /// A list, such as `ActionNames`, of texts or of what each member has under `inner`.
    pub fn texts(&self, member: &str, inner: &str, length_max: usize) -> Answer<Vec<String>> {
        let texts = self.form.list(member)?;
        let texts: Vec<String> =
            texts.iter().map(|form| form.get(inner).unwrap_or_default().to_owned()).collect();
        texts.iter().try_for_each(|text| check_length(member, text, 1, length_max))?;
        Ok(texts)
    }

    /// The texts of policies in a list.
    pub fn documents(&self, member: &str) -> Answer<Vec<String>> {
        self.texts(member, "", 131_072)
    }

    pub fn list(&self, member: &str) -> Answer<Vec<Form>> {
        Ok(self.form.list(member)?)
    }

    /// The keys of tags that are to go.
    pub fn tag_keys(&self) -> Answer<Vec<String>> {
        self.texts("TagKeys", "", 128)
    }

    /// A number between two others, where one is given.
    pub fn number_given(&self, member: &str, between: std::ops::RangeInclusive<i64>) -> Answer<Option<i64>> {
        self.given(member).map(|_| self.number(member, 0, between)).transpose()
    }

    /// The version of a policy, such as `v2`.
    pub fn version(&self) -> Answer<i64> {
        let text = self.required("VersionId")?;
        let number = text.strip_prefix('v').and_then(|digits| digits.parse().ok()).filter(|n| *n > 0);
        let rule = r"Member must satisfy regular expression pattern: v[1-9][0-9]*(\.[A-Za-z0-9-]*)?";
        Ok(number.ok_or_else(|| wrong("VersionId", rule))?)
    }

    /// The refusal of a request without a member that it needs.
    pub fn missing(&self, member: &str) -> Failure {
        wrong(member, "Member must not be null").into()
    }

    /// The user that is named, or the one that calls.
    ///
    /// # Errors
    /// `Invalid` for a caller that is no user and names none.
    pub fn user_name_or_own(&self) -> Answer<&str> {
        match (&self.principal, self.given("UserName")) {
            (Principal::User(user), None) => Ok(&user.name),
            (_, None) => {
                Err(Error::invalid("Must specify userName when calling with non-User credentials").into())
            }
            (_, Some(_)) => self.user_name(),
        }
    }

    /// Whether the root asks about no user but itself.
    pub fn is_root_itself(&self) -> bool {
        matches!(self.principal, Principal::Root { .. }) && self.given("UserName").is_none()
    }

    pub fn access_key_id(&self) -> Answer<&str> {
        let id = self.required("AccessKeyId")?;
        check_length("AccessKeyId", id, 16, 128)?;
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        check(
            "AccessKeyId",
            id.bytes().all(is_allowed),
            r"Member must satisfy regular expression pattern: [\w]+",
        )?;
        Ok(id)
    }

    pub fn policy_name(&self) -> Answer<&str> {
        self.name("PolicyName", 128)
    }

    pub fn policy_arn(&self) -> Answer<&str> {
        let arn = self.required("PolicyArn")?;
        check_length("PolicyArn", arn, 20, 2048)?;
        match model::Arn::parse(arn) {
            Some(_) => Ok(arn),
            None => Err(fault("InvalidInput", format!("ARN {arn} is not valid."))),
        }
    }

    /// A path that begins and ends with a slash; `/` where none is given.
    pub fn path(&self, is_allowed: fn(u8) -> bool) -> Answer<&str> {
        self.path_in("Path", is_allowed)
    }

    fn path_in(&self, member: &str, is_allowed: fn(u8) -> bool) -> Answer<&str> {
        let path = self.form.get(member).unwrap_or("/");
        check_length(member, path, 1, 512)?;
        let is_path = path.starts_with('/') && path.ends_with('/') && path.bytes().all(is_allowed);
        check(
            member,
            is_path,
            "Member must begin and end with / and hold no other characters than paths may",
        )?;
        Ok(path)
    }

    /// As `path`, before the operation says which characters it may hold.
    pub fn some_path(&self) -> Answer<&str> {
        self.path(|b| b.is_ascii_graphic())
    }

    /// The text of a policy, as it was sent.
    pub fn document(&self, member: &str) -> Answer<&str> {
        let text = self.required(member)?;
        check_length(member, text, 1, 131_072)?;
        let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}');
        check(
            member,
            text.chars().all(is_allowed),
            r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+",
        )?;
        Ok(text)
    }

    pub fn description(&self) -> Answer<Option<String>> {
        let text = self.form.get("Description");
        check_length("Description", text.unwrap_or_default(), 0, 1000)?;
        Ok(text.map(str::to_owned))
    }

    /// A number between two others.
    pub fn number(&self, member: &str, default: i64, between: std::ops::RangeInclusive<i64>) -> Answer<i64> {
        let Some(text) = self.form.get(member) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| between.contains(number));
        let rule = format!("Member must be a number from {} to {}", between.start(), between.end());
        number.ok_or_else(|| wrong(member, &rule).into())
    }

    /// One of a few words.
    pub fn word<'a>(&'a self, member: &str, words: &[&str], default: &'a str) -> Answer<&'a str> {
        let word = self.form.get(member).unwrap_or(default);
        check(
            member,
            words.contains(&word),
            &format!("Member must satisfy enum value set: [{}]", words.join(", ")),
        )?;
        Ok(word)
    }

    /// As `word`, where there is no default.
    pub fn required_word(&self, member: &str, words: &[&str]) -> Answer<&str> {
        self.required(member)?;
        self.word(member, words, "")
    }

    /// Tags, of which no two have the same key, in whatever case.
    pub fn tags(&self) -> Answer<Vec<(String, String)>> {
        let mut tags: Vec<(String, String)> = Vec::new();
        for tag in self.form.list("Tags")? {
            let (key, value) = (tag.get("Key").unwrap_or_default(), tag.get("Value").unwrap_or_default());
            check_length("Tags.Key", key, 1, 128)?;
            check_length("Tags.Value", value, 0, 256)?;
            check(
                "Tags",
                [key, value].concat().chars().all(is_tag_character),
                "Member holds a character that tags may not have",
            )?;
            if tags.iter().any(|(other, _)| other.to_lowercase() == key.to_lowercase()) {
                return Err(fault(
                    "InvalidInput",
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
                ));
            }
            tags.push((key.to_owned(), value.to_owned()));
        }
        check("Tags", tags.len() <= TAGS_MAX, "Member must have length less than or equal to 50")?;
        Ok(tags)
    }

    /// The page that is asked for; a marker is the last name of the page before.
    pub fn page(&self) -> Answer<Names<'_>> {
        let path_prefix = self.form.get("PathPrefix").unwrap_or("/");
        check_length("PathPrefix", path_prefix, 1, 512)?;
        check("PathPrefix", path_prefix.starts_with('/'), "Member must begin with /")?;
        let after = self.form.get("Marker").unwrap_or_default();
        check_length("Marker", after, usize::from(self.form.get("Marker").is_some()), 320)?;
        let shown = self.number("MaxItems", 100, 1..=1000)?;
        Ok(Names { path_prefix, after, limit: shown + 1 })
    }

    pub fn given(&self, member: &str) -> Option<&str> {
        self.form.get(member)
    }

    fn required(&self, member: &str) -> Answer<&str> {
        self.form.get(member).ok_or_else(|| wrong(member, "Member must not be null").into())
    }
}

/// Takes the row that only shows that more follow, and returns the next page's marker.
pub(super) fn cut<T>(rows: &mut Vec<T>, page: Names<'_>, name: impl Fn(&T) -> &str) -> Option<String> {
    let shown = usize::try_from(page.limit - 1).unwrap_or_default();
    let more = rows.len() > shown;
    rows.truncate(shown);
    rows.last().filter(|_| more).map(|row| name(row).to_owned())
}

/// How an answer says whether another page follows.
pub(super) fn write_end(xml: &mut Xml, marker: Option<&str>) {
    xml.value("IsTruncated", marker.is_some());
    if let Some(marker) = marker {
        xml.value("Marker", marker);
    }
}

pub(super) fn write_tags(xml: &mut Xml, tags: &[(String, String)]) {
    if tags.is_empty() {
        return;
    }
    xml.element("Tags", |xml| {
        for (key, value) in tags {
            xml.element("member", |xml| {
                xml.value("Key", key);
                xml.value("Value", value);
            });
        }
    });
}

fn is_tag_character(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c)
}

fn check_length(member: &str, text: &str, min: usize, max: usize) -> Answer<()> {
    let length = text.chars().count();
    check(member, length >= min, &format!("Member must have length greater than or equal to {min}"))?;
    check(member, length <= max, &format!("Member must have length less than or equal to {max}"))
}

fn check(member: &str, holds: bool, rule: &str) -> Answer<()> {
    if holds { Ok(()) } else { Err(wrong(member, rule).into()) }
}

fn wrong(member: &str, rule: &str) -> Error {
    let mut letters = member.chars();
    let first = letters.next().unwrap_or_default().to_ascii_lowercase();
    let member = format!("{first}{}", letters.as_str());
    Error::invalid(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: {rule}"
    ))
}
