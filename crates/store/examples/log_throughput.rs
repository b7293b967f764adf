//! Rows a second into the put log, five rows a call, each call durable: `cargo run --release -p store --example log_throughput`.

// An example that can't set its stage has nothing to show.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::log::{Batch, Log, LogSettings};

const ROWS_PER_CALL: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    for clients in [1, 16, 64, 256] {
        let folder = tempfile::tempdir_in(".").unwrap();
        let next = AtomicU64::new(1);
        let sequencer = Arc::new(move |count| Ok(next.fetch_add(count, Ordering::Relaxed)));
        let (log, _) = Log::open(folder.path(), LogSettings::default(), sequencer).unwrap();
        let log = Arc::new(log);
        let calls = if clients == 1 { 10_000 } else { 400_000 / clients };
        let began = Instant::now();
        let tasks: Vec<_> = (0..clients).map(|_| tokio::spawn(write(log.clone(), calls))).collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.append(&mut task.await.unwrap());
        }
        let rows = (waits.len() * ROWS_PER_CALL) as f64 / began.elapsed().as_secs_f64();
        waits.sort();
        println!("{clients} clients: {rows:.0} rows/s, p99 {:?}", waits[waits.len() * 99 / 100]);
    }
}

async fn write(log: Arc<Log>, calls: usize) -> Vec<Duration> {
    let row = [b'r'; 94];
    let mut waits = Vec::with_capacity(calls);
    for _ in 0..calls {
        let mut batch = Batch::new(1, 1);
        for _ in 0..ROWS_PER_CALL {
            batch.push(&row).unwrap();
        }
        let asked = Instant::now();
        log.append(batch).await.unwrap();
        waits.push(asked.elapsed());
    }
    waits
}
