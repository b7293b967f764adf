//! As whom a real service sees the requests of jobs, for whoever has to mend a denial.

/// How a denial goes on where the service does not say which policy it is about.
pub(crate) const REFUSED: &str = "because the service refuses it";

/// A principal of a real service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acting {
    /// An ARN where it is known.
    principal: String,
    /// Who assumed the role, where `principal` is a session of one.
    assumed_by: Option<String>,
}

impl Acting {
    /// The server itself.
    pub fn of_server(arn: Option<&str>, access_key_id: &str) -> Acting {
        let principal = arn.map_or_else(|| format!("the server's key {access_key_id}"), str::to_owned);
        Acting { principal, assumed_by: None }
    }

    /// A session that this principal opened.
    pub fn session(&self, arn: String) -> Acting {
        Acting { principal: arn, assumed_by: Some(self.principal.clone()) }
    }

    /// The principal's ARN, or what is known of it.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// A denial in the words of AWS, from a service that does not say which policy it is about.
    pub fn denial(&self, action: &str, resource: &str, said: &str) -> String {
        let Acting { principal, assumed_by } = self;
        let assumed_by = assumed_by.as_ref().map(|by| format!(", assumed by {by},")).unwrap_or_default();
        format!(
            "User: {principal}{assumed_by} is not authorized to perform: {action} on resource: {resource} \
             {REFUSED} ({said})"
        )
    }
}
