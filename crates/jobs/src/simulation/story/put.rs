//! Calls that put rows, and what becomes of the rows: they are flushed, and runs are compacted.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use model::Origin;
use model::clock::Clock;
use model::error::Result;
use model::record::Codec;
use store::log::Batch;

use super::super::house::{House, dataset_arn};
use super::super::naive::Sent;
use super::row::{Row, sent};
use super::{LIMBO_MAX, Limbo, Story};
use crate::Parts;
use crate::upkeep;

impl Story {
    fn row(&self) -> Row {
        let now_s = self.stage.lock().unwrap().clock.now_ms() / 1000;
        Row { id: self.pick(8), value: self.pick(4), time: now_s % 2 }
    }

    pub(super) fn rows(&self, most: u64) -> Vec<Row> {
        (0..1 + self.pick(most)).map(|_| self.row()).collect()
    }

    /// One call that is written alone, and others that are written together behind it.
    pub(super) async fn put(&self, house: &House, dataset: usize) -> Result<()> {
        let (log, turnstile) = (&house.parts.log, &house.turnstile);
        if self.state().limbo.len() >= LIMBO_MAX {
            return Ok(());
        }
        let row = house.parts.catalog.dataset(&dataset_arn(dataset)).await?.expect("it is there");
        let codec = Codec::new(&row.layout);
        let calls: Vec<Vec<Row>> = (0..1 + self.pick(4)).map(|_| self.rows(3)).collect();
        turnstile.close();
        let mut answers = Vec::new();
        for rows in &calls {
            let mut batch = Batch::new(row.id.cast_unsigned(), row.layout.schema_version);
            for row in rows {
                batch.push_with(|out| codec.encode(&row.values(dataset), out))?;
            }
            let mut answer = Box::pin(log.append(batch));
            let early = poll_fn(|context| match answer.as_mut().poll(context) {
                Poll::Ready(early) => Poll::Ready(Some(early)),
                Poll::Pending => Poll::Ready(None),
            });
            if let Some(early) = early.await {
                // A log that has stopped.
                turnstile.open();
                return early.map(drop);
            }
            if answers.is_empty() {
                turnstile.wait();
            }
            answers.push(answer);
        }
        turnstile.open();
        let mut done = Ok(());
        let mut heard = Vec::new();
        for answer in answers {
            heard.push(answer.await);
        }
        let drawn = std::mem::take(&mut *turnstile.drawn.lock().unwrap());
        for (n, (answer, rows)) in heard.into_iter().zip(&calls).enumerate() {
            let at = drawn.get(n).copied();
            house.machine.note((at, answer.is_ok()));
            self.heard(dataset, at, answer.is_ok(), &sent(dataset, rows));
            done = done.and(answer.map(drop));
        }
        done
    }

    fn heard(&self, dataset: usize, at: Option<u64>, is_ok: bool, rows: &[Sent]) {
        let mut state = self.state();
        match at {
            // Without its numbers it was never written.
            None => assert!(!is_ok),
            Some(at) if is_ok => {
                // What was refused before it was cut off, durably.
                state.limbo.clear();
                state.worlds.iter_mut().for_each(|world| world.add(dataset, Origin::Put, at, rows));
            }
            Some(at) => state.limbo.push(Limbo { dataset, at, rows: rows.to_vec() }),
        }
    }

    pub(super) async fn flush(&self, parts: &Arc<Parts>, dataset: usize) -> Result<()> {
        let arn = dataset_arn(dataset);
        let row = parts.catalog.dataset(&arn).await?.expect("it is there");
        let done = upkeep::flush(parts, row.id, parts.log.durable()).await;
        // One that a visit overtook, and whose segments are gone, has nothing left to do.
        let now = parts.catalog.dataset(&arn).await?.expect("it is there");
        if now.flushed_position == row.flushed_position { done } else { Ok(()) }
    }

    pub(super) async fn compact(&self, house: &House, dataset: usize) -> Result<()> {
        let catalog = &house.parts.catalog;
        let row = catalog.dataset(&dataset_arn(dataset)).await?.expect("it is there");
        let origin = [Origin::Bulk, Origin::Put][self.pick(2) as usize];
        if self.pick(2) == 0 {
            return house.compactor.compact_dataset(&row, origin).await.map(drop);
        }
        let mut runs = catalog.runs(row.id).await?;
        runs.retain(|run| run.run.origin == origin && self.pick(3) > 0);
        if runs.len() < 2 || catalog.is_deleting_from(&row.group_arn).await? {
            return Ok(());
        }
        house.compactor.compact_runs(&row, origin, &runs).await.map(drop)
    }
}
