//! Units worked on by several threads, their output taken in order: the bytes are those that one thread would write.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use model::error::{Error, Result};

/// What a unit gives.
pub enum Output<P, T> {
    Piece(P),
    /// All its pieces were given.
    Done(T),
}

/// Takes the pieces of a unit.
pub type Give<'a, P> = &'a mut dyn FnMut(P) -> Result<()>;

/// How far threads go ahead of the unit whose turn it is: it bounds the memory.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// How many units are worked on or waiting.
    pub units: usize,
    /// How many pieces of each of them wait.
    pub pieces: usize,
}

/// Works on all units with up to `threads` threads; `take` gets the output of the first, then of the second …
///
/// # Errors
/// The first error of a unit, in order of units, or of `take`.
pub fn run<U: Sync, P: Send, T: Send>(
    units: &[U],
    threads: usize,
    ahead: Ahead,
    work: &(dyn Fn(&U, Give<'_, P>) -> Result<T> + Sync),
    mut take: impl FnMut(&U, Output<P, T>) -> Result<()>,
) -> Result<()> {
    if threads <= 1 || units.len() <= 1 {
        for unit in units {
            let done = work(unit, &mut |piece| take(unit, Output::Piece(piece)))?;
            take(unit, Output::Done(done))?;
        }
        return Ok(());
    }
    let (mut slots, receivers): (Vec<_>, Vec<_>) = units
        .iter()
        .map(|_| sync_channel::<Result<Output<P, T>>>(ahead.pieces))
        .map(|(sender, receiver)| (Mutex::new(Some(sender)), receiver))
        .unzip();
    let (admit, admitted) = channel();
    let admitted = Mutex::new(admitted);
    std::thread::scope(|scope| {
        let slots = &mut slots;
        let slots: &[Slot<P, T>] = slots;
        for _ in 0..threads.min(units.len()) {
            scope.spawn(|| worker(units, slots, &admitted, work));
        }
        let window = ahead.units.max(threads);
        // Whoever receives stays to the end, here in this function.
        let admit_unit = |n| _ = admit.send(n);
        (0..window).for_each(admit_unit);
        let mut receivers = receivers.into_iter();
        let taken = units.iter().enumerate().try_for_each(|(n, unit)| match receivers.next() {
            Some(receiver) => {
                take_unit(unit, &receiver, &mut take)?;
                admit_unit(n + window);
                Ok(())
            }
            None => Ok(()),
        });
        // Without their receivers, threads that are ahead stop at their next piece.
        drop((receivers, admit));
        taken
    })
}

type Slot<P, T> = Mutex<Option<SyncSender<Result<Output<P, T>>>>>;

fn worker<U, P, T>(
    units: &[U],
    slots: &[Slot<P, T>],
    admitted: &Mutex<Receiver<usize>>,
    work: &(dyn Fn(&U, Give<'_, P>) -> Result<T> + Sync),
) {
    loop {
        let Ok(n) = admitted.lock().unwrap_or_else(PoisonError::into_inner).recv() else { return };
        let (Some(unit), Some(slot)) = (units.get(n), slots.get(n)) else { return };
        let Some(sender) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let give = |piece| sender.send(Ok(Output::Piece(piece))).map_err(|_| stopped());
        let mut give = give;
        let outcome = work(unit, &mut give).map(Output::Done);
        let has_failed = outcome.is_err();
        if sender.send(outcome).is_err() || has_failed {
            return;
        }
    }
}

fn take_unit<U, P, T>(
    unit: &U,
    receiver: &Receiver<Result<Output<P, T>>>,
    take: &mut impl FnMut(&U, Output<P, T>) -> Result<()>,
) -> Result<()> {
    loop {
        // A thread that panicked dropped its sender.
        let output =
            receiver.recv().map_err(|_| Error::internal("a thread of a job ended before its work"))??;
        let is_done = matches!(output, Output::Done(_));
        take(unit, output)?;
        if is_done {
            return Ok(());
        }
    }
}

fn stopped() -> Error {
    Error::unavailable("the work was stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(threads: usize, failing: Option<usize>) -> Result<Vec<u8>> {
        let units: Vec<usize> = (0..40).collect();
        let work = |unit: &usize, give: Give<'_, Vec<u8>>| {
            for _ in 0..*unit % 30 {
                give(vec![*unit as u8])?;
            }
            if Some(*unit) == failing { Err(Error::unavailable("failing")) } else { Ok(()) }
        };
        let mut all = Vec::new();
        run(&units, threads, Ahead { units: 5, pieces: 2 }, &work, |unit, output| {
            if let Output::Piece(bytes) = output {
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
