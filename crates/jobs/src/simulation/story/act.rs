//! What happens next, and what happens in the midst of it.

use std::sync::Arc;

use super::{MODES, Story, is_stopped};
use crate::upkeep::{clear_objects, trim_log};
use model::ErrorKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Act {
    Put,
    Flush,
    Compact,
    Trim,
    Clear,
    CreateImport,
    CreateExport,
    CreateDeletion,
    Work,
    MoveClock,
    Check,
}

impl Story {
    pub(super) fn choose(&self) -> Act {
        use Act::*;
        const ACTS: [Act; 24] = [
            Put,
            Put,
            Put,
            Put,
            Put,
            Put,
            Flush,
            Flush,
            Flush,
            Compact,
            Compact,
            Trim,
            Trim,
            Clear,
            Clear,
            CreateImport,
            CreateImport,
            CreateExport,
            Work,
            Work,
            Work,
            MoveClock,
            Check,
            CreateDeletion,
        ];
        match ACTS[self.pick(24) as usize] {
            CreateDeletion if !self.seed.is_multiple_of(4) => Put,
            act => act,
        }
    }

    /// Something may happen in the midst of the next act.
    pub(super) fn announce(self: &Arc<Story>) {
        if self.pick(3) > 0 {
            return;
        }
        let (story, act) = (self.clone(), self.choose());
        let visit = move || {
            // The log's own thread can't wait for the log; and of a burst some may be durable of which nobody has heard yet.
            let is_log = std::thread::current().name() == Some("log");
            let is_barred = matches!(act, Act::Put | Act::Work | Act::Check | Act::CreateExport);
            let act = if is_log && is_barred { Act::Flush } else { act };
            // Who moves records out of the log is alone, and the one who is at it waits for this visit.
            let is_flushing = story.parts().flushing.try_lock().is_err();
            let flushes = matches!(act, Act::Flush | Act::Work | Act::Check);
            let act = if is_flushing && flushes { Act::Trim } else { act };
            let runtime = story.runtime.clone();
            let visiting = story.clone();
            let visit = move || runtime.block_on(async move { visiting.act(act).await });
            if std::thread::spawn(visit).join().is_err() {
                story.state().has_panicked = true;
            }
        };
        self.machine().visit_in(1 + self.pick(25), Box::new(visit));
    }

    pub(super) async fn act(self: &Arc<Story>, act: Act) {
        let house = self.house();
        let hits = house.machine.hits();
        house.machine.note(act);
        let parts = &house.parts;
        let dataset = self.pick(2) as usize;
        let done = match act {
            Act::Put => self.put(&house, dataset).await,
            Act::Flush => self.flush(parts, dataset).await,
            Act::Compact => self.compact(&house, dataset).await,
            Act::Trim => trim_log(parts).await,
            Act::Clear => clear_objects(parts).await.map(drop),
            Act::CreateImport => self.create_import(parts, dataset).await,
            Act::CreateExport => {
                let mode = MODES[self.pick(3) as usize];
                self.create_export(parts, dataset, mode).await.map(drop)
            }
            Act::CreateDeletion => self.create_deletion(parts).await,
            Act::Work => self.work(&house).await.map(drop),
            Act::MoveClock => {
                let hours = self.pick(48) as i64 - 24;
                self.stage.lock().unwrap().clock.advance_ms(hours * 3_600_000);
                Ok(())
            }
            Act::Check => self.check(&house, dataset, MODES[self.pick(3) as usize]).await,
        };
        if let Err(cause) = done {
            // A job whose lease ran out while something else went on is somebody else's.
            let is_excused = is_stopped(&cause) || cause.kind == ErrorKind::InUse;
            let has_cause = house.machine.hits() > hits || house.machine.is_dead() || is_excused;
            assert!(has_cause, "{act:?} failed without a cause: {}", cause.chain());
        }
    }
}
