//! Objects that have no place in the log and never get one, because their node or their catalog failed in between.

use std::sync::Arc;

use model::error::Result;

use super::Inner;
use super::object;
use crate::log::queue::lock;

impl Inner {
    pub(super) async fn clear_orphans(self: &Arc<Self>) -> Result<()> {
        self.settle_left().await?;
        // In this order: what this process begins to write from here on has a later number.
        let node = self.register.node();
        let (next, open) = {
            let numbers = lock(&self.numbers);
            (numbers.next, numbers.open.clone())
        };
        let may_go = |name: &String| match object::parse_name(name) {
            Some((of, number)) => of != node || (number < next && !open.contains(&number)),
            None => false,
        };
        let found: Vec<String> = self.store.list().await?.into_iter().filter(may_go).collect();
        if found.is_empty() {
            return Ok(());
        }
        let unplaced = self.register.unplaced(&found).await?;
        if unplaced.is_empty() {
            return Ok(());
        }
        self.store.delete(&unplaced).await
    }

    /// Asks again what became of segments of which the register did not say it.
    pub(super) async fn settle_left(&self) -> Result<()> {
        loop {
            let Some((number, object)) = lock(&self.numbers).left.last().cloned() else { return Ok(()) };
            self.register.withdraw(&object).await?;
            let mut numbers = lock(&self.numbers);
            numbers.left.retain(|(left, _)| *left != number);
            numbers.open.remove(&number);
        }
    }
}
