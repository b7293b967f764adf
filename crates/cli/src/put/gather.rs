//! Records gathered into calls: ten at a time, those of one id on one lane and in their order, within a bound of memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::error::Result;

use super::mapping::Carried;
use super::source::Place;

/// The most records of one call.
const RECORDS_MAX: usize = 10;
/// What waits for others of its user and session; beyond it, calls go out with fewer records.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// What a record takes beside its text, about.
const RECORD_BYTES: usize = 128;

/// A call that is ready to be sent.
#[derive(Debug)]
pub struct Call {
    pub body: Bytes,
    /// Where its records stood, in its order.
    pub places: Vec<Place>,
}

/// Calls that are not full yet.
pub struct Gather {
    lanes: u64,
    list: &'static str,
    /// By lane and head.
    open: BTreeMap<(usize, String), Open>,
    waiting_bytes: usize,
}

#[derive(Default)]
struct Open {
    /// The records, with commas between them.
    records: String,
    places: Vec<Place>,
}

impl Gather {
    pub fn new(lanes: usize, list: &'static str) -> Gather {
        Gather { lanes: lanes as u64, list, open: BTreeMap::new(), waiting_bytes: 0 }
    }

    /// Adds a record; `send` takes a call, and the lane that it goes over, when one is full.
    pub fn add(
        &mut self,
        record: Carried,
        place: Place,
        send: &mut dyn FnMut(usize, Call) -> Result<()>,
    ) -> Result<()> {
        let lane = usize::try_from(record.hash % self.lanes).unwrap_or(0);
        let key = (lane, record.head);
        self.waiting_bytes += record.json.len() + RECORD_BYTES;
        let open = self.open.entry(key.clone()).or_default();
        if !open.places.is_empty() {
            open.records.push(',');
        }
        open.records.push_str(&record.json);
        open.places.push(place);
        if open.places.len() == RECORDS_MAX
            && let Some(full) = self.open.remove(&key)
        {
            self.waiting_bytes -= full.waiting_bytes();
            send(lane, full.call(&key.1, self.list))?;
        }
        if self.waiting_bytes > WAITING_BYTES_MAX {
            return self.finish(send);
        }
        Ok(())
    }

    /// Sends all that waits.
    pub fn finish(&mut self, send: &mut dyn FnMut(usize, Call) -> Result<()>) -> Result<()> {
        self.waiting_bytes = 0;
        for ((lane, head), open) in std::mem::take(&mut self.open) {
            send(lane, open.call(&head, self.list))?;
        }
        Ok(())
    }
}

impl Open {
    // What was added for its records, commas left out.
    fn waiting_bytes(&self) -> usize {
        self.records.len() + 1 - self.places.len() + self.places.len() * RECORD_BYTES
    }

    fn call(self, head: &str, list: &str) -> Call {
        let body = format!("{{{head},\"{list}\":[{}]}}", self.records);
        Call { body: body.into(), places: self.places }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn record(head: &str, number: usize, hash: u64) -> (Carried, Place) {
        let json = format!("{{\"n\":{number}}}");
        let place = Place { file: "f".into(), line: number as u64 };
        (Carried { head: format!("\"user\":\"{head}\""), json, hash, is_filled: false }, place)
    }

    fn gathered(records: impl IntoIterator<Item = (Carried, Place)>) -> Vec<(usize, Value, usize)> {
        let (mut gather, mut calls) = (Gather::new(4, "list"), Vec::new());
        let mut send = |lane, call: Call| {
            calls.push((lane, serde_json::from_slice(&call.body).unwrap(), call.places.len()));
            Ok(())
        };
        for (record, place) in records {
            gather.add(record, place, &mut send).unwrap();
        }
        gather.finish(&mut send).unwrap();
        assert_eq!((gather.open.len(), gather.waiting_bytes), (0, 0));
        calls
    }

    #[test]
    fn ten_records_of_a_head_are_a_call_and_the_rest_comes_last() {
        let calls = gathered((0..25).map(|n| record("u", n, 6)));
        let sizes: Vec<_> = calls.iter().map(|(lane, _, size)| (*lane, *size)).collect();
        assert_eq!(sizes, [(2, 10), (2, 10), (2, 5)]);
        assert_eq!(calls[1].1["list"][0]["n"], 10);
        assert_eq!(calls[2].1["user"], "u");
    }

    #[test]
    fn records_of_different_heads_share_no_call() {
        let calls = gathered((0..20).map(|n| record(["a", "b"][n % 2], n, 1)));
        assert_eq!(calls.len(), 2);
        assert!(
            calls.iter().all(|(_, call, size)| *size == 10 && call["list"].as_array().unwrap().len() == 10)
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let head = "h".repeat(1000);
        let wide = |n: usize| {
            let (mut record, place) = record(&format!("{head}{n}"), n, n as u64);
            record.json = format!("{{\"t\":\"{}\"}}", "x".repeat(1 << 20));
            (record, place)
        };
        let mut gather = Gather::new(4, "list");
        let mut sent = 0;
        for n in 0..20 {
            let (record, place) = wide(n);
            gather
                .add(record, place, &mut |_, _| {
                    sent += 1;
                    Ok(())
                })
                .unwrap();
            assert!(gather.waiting_bytes <= WAITING_BYTES_MAX);
        }
        assert_eq!(sent, 16);
    }
}
