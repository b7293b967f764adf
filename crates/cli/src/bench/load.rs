//! The load itself: clients on one thread, each with one connection, and what they were answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use model::Clock;
use model::clock::SystemClock;
use tokio::task::LocalSet;

use super::connection::{Answer, Connection};
use super::latency::Latencies;
use super::numbers::Numbers;
use super::pace::Pace;
use super::records::Records;
use super::sign::Signer;
use crate::client::connector::Connector;
use crate::client::server::Server;

const BACKOFF: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// How long after the end a call that is throttled is tried again.
const LAST_TRIES: Duration = Duration::from_secs(30);
/// What a client waits after a failure, so that a server that is gone is not asked thousands of times.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be done.
pub struct Load {
    pub server: Server,
    pub connector: Connector,
    pub records: Records,
    /// Where calls go: to the records' own operation, or to one that does nothing.
    pub path: &'static str,
    pub clients: usize,
    pub calls_per_s: Option<f64>,
    pub lasts: Duration,
}

/// What came of it.
pub struct Outcome {
    pub records: Records,
    /// Calls that were begun, numbered from 0.
    pub calls: u64,
    /// The numbers of those that were answered well.
    pub acknowledged: Numbers,
    pub latencies: Latencies,
    /// Answers that asked to try again later.
    pub throttled: u64,
    /// Calls that were refused, or whose answer never came; what they held may or may not be stored.
    pub failed: u64,
    pub first_failure: Option<String>,
    /// From the first call to the last answer.
    pub took: Duration,
}

struct Run {
    load: Load,
    pace: Pace,
    give_up: Instant,
    calls: Cell<u64>,
    throttled: Cell<u64>,
    failed: Cell<u64>,
    first_failure: RefCell<Option<String>>,
    acknowledged: RefCell<Numbers>,
    latencies: RefCell<Latencies>,
    signer: RefCell<Signer>,
}

impl Load {
    /// Runs all clients on this thread until the time is over and each has its last answer.
    pub async fn run(self) -> Outcome {
        let (clients, start) = (self.clients, Instant::now());
        let run = Rc::new(Run::new(self, start));
        let all = LocalSet::new();
        for _ in 0..clients {
            all.spawn_local(client(run.clone()));
        }
        all.await;
        let took = start.elapsed();
        let run = Rc::into_inner(run).expect("no client outlives the set");
        Outcome {
            records: run.load.records,
            calls: run.calls.get(),
            acknowledged: run.acknowledged.into_inner(),
            latencies: run.latencies.into_inner(),
            throttled: run.throttled.get(),
            failed: run.failed.get(),
            first_failure: run.first_failure.into_inner(),
            took,
        }
    }
}

async fn client(run: Rc<Run>) {
    let mut line = Line { run: &run, connection: None, body: Vec::new(), request: Vec::new() };
    while let Some((call, due)) = run.next() {
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        run.load.records.write_call(call, &mut line.body);
        match line.call().await {
            Ok(()) => run.acknowledge(call, due.elapsed()),
            Err(why) => {
                run.fail(why);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Run {
    fn new(load: Load, start: Instant) -> Run {
        let signer = Signer::new(load.server.clone(), load.path, SystemClock.now_ms());
        Run {
            pace: Pace::new(start, load.lasts, load.calls_per_s),
            give_up: start + load.lasts + LAST_TRIES,
            load,
            calls: Cell::new(0),
            throttled: Cell::new(0),
            failed: Cell::new(0),
            first_failure: RefCell::new(None),
            acknowledged: RefCell::default(),
            latencies: RefCell::new(Latencies::new()),
            signer: RefCell::new(signer),
        }
    }

    fn next(&self) -> Option<(u64, Instant)> {
        let call = self.calls.get();
        let due = self.pace.due(call, Instant::now())?;
        self.calls.set(call + 1);
        Some((call, due))
    }

    fn acknowledge(&self, call: u64, took: Duration) {
        self.acknowledged.borrow_mut().insert(call);
        self.latencies.borrow_mut().add(took);
    }

    fn fail(&self, why: String) {
        self.failed.set(self.failed.get() + 1);
        self.first_failure.borrow_mut().get_or_insert(why);
    }
}

/// One client's connection, and the room for its requests.
struct Line<'a> {
    run: &'a Run,
    connection: Option<Connection>,
    body: Vec<u8>,
    request: Vec<u8>,
}

impl Line<'_> {
    /// Sends the body until it is answered with anything but that it was too much.
    async fn call(&mut self) -> Result<(), String> {
        let mut backoff = BACKOFF;
        loop {
            let answer = self.send().await.map_err(|e| format!("no answer: {e}"))?;
            if answer.status == 200 {
                return Ok(());
            }
            if !is_throttled(&answer) || Instant::now() > self.run.give_up {
                return Err(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)));
            }
            self.run.throttled.set(self.run.throttled.get() + 1);
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    // A call whose connection broke is not sent again: nobody knows what became of it.
    async fn send(&mut self) -> std::io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.run.load.connector, &self.run.load.server.authority).await?,
        };
        self.run.signer.borrow_mut().write(&self.body, SystemClock.now_ms(), &mut self.request);
        let answer = connection.call(&self.request).await?;
        self.connection = Some(connection).filter(|_| !answer.is_last);
        Ok(answer)
    }
}

fn is_throttled(answer: &Answer) -> bool {
    answer.status == 429 || memchr::memmem::find(&answer.body, b"ThrottlingException").is_some()
}
