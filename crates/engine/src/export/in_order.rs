//! Units worked on by several threads, their output taken in order: the bytes are those that one thread would write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use model::error::{Error, Result};

use super::unit::Tally;

/// What a unit gives.
pub enum Output {
    Bytes(Vec<u8>),
    /// All its bytes were given.
    Done(Tally),
}

/// Takes the bytes of a unit.
pub type Give<'a> = &'a mut dyn FnMut(Vec<u8>) -> Result<()>;

/// How many pieces a unit may be ahead of the one whose turn it is; a piece is about a MiB.
const AHEAD: usize = 12;

/// Works on all units with up to `threads` threads; `take` gets the output of the first, then of the second …
///
/// # Errors
/// The first error of a unit, in order of units, or of `take`.
pub fn run<U: Sync>(
    units: &[U],
    threads: usize,
    work: &(dyn Fn(&U, Give<'_>) -> Result<Tally> + Sync),
    mut take: impl FnMut(&U, Output) -> Result<()>,
) -> Result<()> {
    if threads <= 1 || units.len() <= 1 {
        for unit in units {
            let tally = work(unit, &mut |bytes| take(unit, Output::Bytes(bytes)))?;
            take(unit, Output::Done(tally))?;
        }
        return Ok(());
    }
    let (mut slots, receivers): (Vec<_>, Vec<_>) = units
        .iter()
        .map(|_| sync_channel::<Result<Output>>(AHEAD))
        .map(|(sender, receiver)| (Mutex::new(Some(sender)), receiver))
        .unzip();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let slots = &mut slots;
        let slots: &[Slot] = slots;
        for _ in 0..threads.min(units.len()) {
            scope.spawn(|| worker(units, slots, &next, work));
        }
        let mut receivers = receivers.into_iter();
        let taken = units.iter().try_for_each(|unit| match receivers.next() {
            Some(receiver) => take_unit(unit, &receiver, &mut take),
            None => Ok(()),
        });
        // Without their receivers, threads that are ahead stop at their next piece.
        drop(receivers);
        taken
    })
}

type Slot = Mutex<Option<SyncSender<Result<Output>>>>;

fn worker<U>(
    units: &[U],
    slots: &[Slot],
    next: &AtomicUsize,
    work: &(dyn Fn(&U, Give<'_>) -> Result<Tally> + Sync),
) {
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let (Some(unit), Some(slot)) = (units.get(n), slots.get(n)) else { return };
        let Some(sender) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let give = |bytes| sender.send(Ok(Output::Bytes(bytes))).map_err(|_| stopped());
        let mut give = give;
        let outcome = work(unit, &mut give).map(Output::Done);
        let has_failed = outcome.is_err();
        if sender.send(outcome).is_err() || has_failed {
            return;
        }
    }
}

fn take_unit<U>(
    unit: &U,
    receiver: &Receiver<Result<Output>>,
    take: &mut impl FnMut(&U, Output) -> Result<()>,
) -> Result<()> {
    loop {
        // A thread that panicked dropped its sender.
        let output = receiver
            .recv()
            .map_err(|_| Error::internal("a thread of the export ended before its work"))??;
        let is_done = matches!(output, Output::Done(_));
        take(unit, output)?;
        if is_done {
            return Ok(());
        }
    }
}

fn stopped() -> Error {
    Error::unavailable("the export was stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(threads: usize, failing: Option<usize>) -> Result<Vec<u8>> {
        let units: Vec<usize> = (0..40).collect();
        let work = |unit: &usize, give: Give<'_>| {
            for _ in 0..*unit % 30 {
                give(vec![*unit as u8])?;
            }
            if Some(*unit) == failing { Err(Error::unavailable("failing")) } else { Ok(Tally::default()) }
        };
        let mut all = Vec::new();
        run(&units, threads, &work, |unit, output| {
            if let Output::Bytes(bytes) = output {
                assert_eq!(bytes[0] as usize, *unit);
                all.extend(bytes);
            }
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn the_order_is_that_of_one_thread() {
        let alone = collect(1, None).unwrap();
        for threads in [2, 3, 8, 64] {
            assert_eq!(collect(threads, None).unwrap(), alone);
        }
    }

    #[test]
    fn a_failing_unit_ends_all_of_it() {
        for threads in [1, 2, 8] {
            assert_eq!(collect(threads, Some(7)).unwrap_err().message(), "failing");
        }
    }
}
