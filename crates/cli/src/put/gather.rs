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
/// What stands behind the records of a call.
const CLOSE: &str = "]}";

/// A call that is ready to be sent.
#[derive(Debug)]
pub struct Call {
    pub body: Bytes,
    /// Its records, in its order.
    pub records: Vec<Sent>,
}

/// A record of a call.
#[derive(Debug)]
pub struct Sent {
    pub place: Place,
    /// How many records were read before it.
    pub number: u64,
    /// Where its text ends in the body.
    end: usize,
}

/// Calls that are not full yet.
pub struct Gather {
    lanes: u64,
    list: &'static str,
    /// By lane and head.
    open: BTreeMap<(usize, String), Open>,
    waiting_bytes: usize,
    /// The number of the next record.
    next: u64,
}

#[derive(Default)]
struct Open {
    /// The records, with commas between them.
    text: String,
    /// They end where they do in `text`.
    records: Vec<Sent>,
}

impl Gather {
    pub fn new(lanes: usize, list: &'static str) -> Gather {
        Gather { lanes: lanes as u64, list, open: BTreeMap::new(), waiting_bytes: 0, next: 0 }
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
        if !open.records.is_empty() {
            open.text.push(',');
        }
        open.text.push_str(&record.json);
        open.records.push(Sent { place, number: self.next, end: open.text.len() });
        self.next += 1;
        if open.records.len() == RECORDS_MAX
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
        self.text.len() + 1 - self.records.len() + self.records.len() * RECORD_BYTES
    }

    fn call(mut self, head: &str, list: &str) -> Call {
        let mut body = format!("{{{head},\"{list}\":[");
        self.records.iter_mut().for_each(|record| record.end += body.len());
        body.push_str(&self.text);
        body.push_str(CLOSE);
        Call { body: body.into(), records: self.records }
    }
}

impl Call {
    /// Leaves only the records that stood before the one of this number; whether any are left.
    pub fn keep_before(&mut self, number: u64) -> bool {
        let kept = self.records.partition_point(|record| record.number < number);
        if kept < self.records.len() {
            self.records.truncate(kept);
            let end = self.records.last().map_or(0, |last| last.end);
            self.body = [&self.body[..end], CLOSE.as_bytes()].concat().into();
        }
        kept > 0
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::Value;

    use super::*;

    pub fn record(head: &str, number: usize, hash: u64) -> (Carried, Place) {
        let json = format!("{{\"n\":{number}}}");
        let place = Place { file: "f".into(), line: number as u64 };
        (Carried { head: format!("\"user\":\"{head}\""), json, hash, is_filled: false }, place)
    }

    fn gathered(records: impl IntoIterator<Item = (Carried, Place)>) -> Vec<(usize, Value, usize)> {
        let (mut gather, mut calls) = (Gather::new(4, "list"), Vec::new());
        let mut send = |lane, call: Call| {
            calls.push((lane, serde_json::from_slice(&call.body).unwrap(), call.records.len()));
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
    fn a_call_is_cut_before_a_record() {
        let (mut gather, mut calls) = (Gather::new(1, "list"), Vec::new());
        let mut send = |_, call: Call| {
            calls.push(call);
            Ok(())
        };
        for n in 0..20 {
            let (record, place) = record(["a", "b"][n % 2], n, 1);
            gather.add(record, place, &mut send).unwrap();
        }
        let cut = |call: &mut Call, number| {
            let is_left = call.keep_before(number);
            let body: Option<Value> = is_left.then(|| serde_json::from_slice(&call.body).unwrap());
            let list = |body: Value| {
                body["list"].as_array().unwrap().iter().map(|r| r["n"].as_u64().unwrap()).collect()
            };
            (call.records.len(), body.map_or_else(Vec::<u64>::new, list))
        };
        assert_eq!(cut(&mut calls[0], 100).0, 10);
        assert_eq!(cut(&mut calls[0], 5), (3, vec![0, 2, 4]));
        assert_eq!(cut(&mut calls[0], 4), (2, vec![0, 2]));
        assert_eq!(cut(&mut calls[1], 1), (0, vec![]));
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
