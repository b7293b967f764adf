//! What policies would say about a request that nobody makes.

use crate::policy::{Context, Decision, Document, Request, decide};
use crate::{Access, Principal};

/// The outcome for one action on one resource.
pub struct Simulated {
    pub decision: Decision,
    /// Which documents have a statement that decided it, by their places.
    pub matched: Vec<usize>,
    /// Keys of conditions for which the request has no value, in lower case.
    pub missing_keys: Vec<String>,
}

impl Access {
    /// Decides over `documents` alone, as if `principal` asked for `action` on `resource`.
    pub fn simulate(
        &self,
        principal: &Principal,
        documents: &[Document],
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Simulated {
        let request = Request::new(principal.caller(), action, resource).given(self.surroundings(), context);
        let decision = decide(documents, &request);
        let decides = |document: &Document| {
            matches!(
                (&decision, decide([document], &request)),
                (Decision::Allow, Decision::Allow)
                    | (Decision::ExplicitDeny { .. }, Decision::ExplicitDeny { .. })
            )
        };
        let places = documents.iter().enumerate().filter(|(_, document)| decides(document));
        let matched = places.map(|(place, _)| place).collect();
        let keys = documents.iter().flat_map(Document::condition_keys);
        let mut missing_keys: Vec<String> = keys.filter(|key| !request.has(key)).map(str::to_owned).collect();
        missing_keys.sort_unstable();
        missing_keys.dedup();
        Simulated { decision, matched, missing_keys }
    }
}
