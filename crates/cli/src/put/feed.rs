//! From the reader to the connections. Whoever closes it, the reader at its end or a refusal, what was read is handed over.

use std::sync::{Mutex, PoisonError};

use model::error::{Error, Result};
use tokio::sync::mpsc::Sender;

use super::gather::{Call, Gather};
use super::mapping::Carried;
use super::source::Place;

pub struct Feed(Mutex<Option<Open>>);

struct Open {
    gather: Gather,
    lanes: Vec<Sender<Call>>,
}

impl Feed {
    pub fn new(gather: Gather, lanes: Vec<Sender<Call>>) -> Feed {
        Feed(Mutex::new(Some(Open { gather, lanes })))
    }

    /// Takes a record, and waits while its lane is full; never on a thread that others need.
    ///
    /// # Errors
    /// `Unavailable` when it is closed or a connection has ended, for a reason that others tell.
    pub fn add(&self, record: Carried, place: Place) -> Result<()> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.as_mut().ok_or_else(|| Error::unavailable("no more records are taken"))?;
        open.gather.add(record, place, &mut |lane, call| send(&open.lanes, lane, call))
    }

    /// Hands over what waits for more records, and takes no more; connections end when they have sent what they got.
    ///
    /// # Errors
    /// As `add`.
    pub fn close(&self) -> Result<()> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        open.map_or(Ok(()), |mut open| open.gather.finish(&mut |lane, call| send(&open.lanes, lane, call)))
    }
}

fn send(lanes: &[Sender<Call>], lane: usize, call: Call) -> Result<()> {
    lanes[lane].blocking_send(call).map_err(|_| Error::unavailable("a connection has ended"))
}
