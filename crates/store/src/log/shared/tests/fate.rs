//! Two nodes that write, read, forget, clear up, crash and come back as zombies, while requests fail and are done late.
//!
//! 25 seeds, as many as LADE_LOG_SEEDS says, or LADE_LOG_SEED alone.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use model::clock::{Clock, SimulatedClock};
use tokio::time::{sleep, timeout};

use super::*;

/// A call as the naive model knows it.
#[derive(Clone, Debug)]
struct Call {
    text: String,
    /// When it was sent and answered, in steps of the story.
    sent: u64,
    answered: Option<(u64, u64)>,
}

struct Story {
    seed: u64,
    world: Arc<World>,
    luck: SimulatedClock,
    nodes: Vec<(Arc<Side>, Arc<Log>)>,
    calls: Vec<Call>,
    /// What was taken out of the log: records by number.
    flushed: BTreeMap<u64, String>,
    position: u64,
    steps: u64,
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_lose_nothing_and_invent_nothing() {
    let seeds = match asked("LADE_LOG_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("LADE_LOG_SEEDS").unwrap_or(25),
    };
    let mut playing = Vec::new();
    for seed in seeds {
        playing.push((seed, tokio::spawn(play(seed))));
        if playing.len() == 30 {
            end(&mut playing).await;
        }
    }
    end(&mut playing).await;
}

async fn end(playing: &mut Vec<(u64, tokio::task::JoinHandle<()>)>) {
    for (seed, story) in playing.drain(..) {
        let again = "cargo test --release --workspace --lib shared::tests::fate";
        assert!(story.await.is_ok(), "seed {seed} fails; again: LADE_LOG_SEED={seed} {again}");
    }
}

async fn play(seed: u64) {
    let world = Arc::new(World::default());
    let luck = SimulatedClock::new(0, seed);
    let (calls, flushed) = Default::default();
    let mut story = Story { seed, world, luck, nodes: Vec::new(), calls, flushed, position: 0, steps: 0 };
    for _ in 0..2 {
        let node = story.begin().await;
        story.nodes.push(node);
    }
    for _ in 0..30 {
        match story.pick(12) {
            0..=5 => story.put().await,
            6 | 7 => story.flush().await,
            8 => story.clear().await,
            9 => story.crash().await,
            10 => story.end_behind_its_back(),
            _ => story.look().await,
        }
    }
    story.settle().await;
}

impl Story {
    fn pick(&self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.luck.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    }

    fn step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    async fn begin(&self) -> (Arc<Side>, Arc<Log>) {
        loop {
            let side = Side::with_luck(&self.world, Some(self.pick(u64::MAX)));
            match Log::share(settings(), side.clone(), side.clone()).await {
                Ok(log) => return (side, Arc::new(log)),
                Err(_) => self.world.end(&side.node()),
            }
        }
    }

    fn node(&self) -> (Arc<Side>, Arc<Log>) {
        self.nodes[self.pick(2) as usize].clone()
    }

    /// A few calls at both nodes at the same time; sometimes a node crashes under them.
    async fn put(&mut self) {
        let sent = self.step();
        let mut answers = Vec::new();
        for _ in 0..1 + self.pick(6) {
            let (text, (_, log)) = (format!("{}/{}", self.seed, self.calls.len()), self.node());
            self.calls.push(Call { text: text.clone(), sent, answered: None });
            let number = self.calls.len() - 1;
            answers.push((number, tokio::spawn(async move { log.append(batch(1, &[&text])).await })));
        }
        if self.pick(8) == 0 {
            self.crash().await;
        }
        let answered = self.step();
        for (number, answer) in answers {
            if let Ok(appended) = answer.await.unwrap() {
                self.calls[number].answered = Some((answered, appended.first_sequence));
            }
        }
    }

    /// As upkeep does it: what is read, and where it ends, changes together.
    async fn flush(&mut self) {
        let (_, log) = self.node();
        let Ok(to) = log.rotate().await else { return };
        let from = self.position;
        let Ok(read) = self.read(&log, from, to).await else { return };
        for (number, text) in read {
            let before = self.flushed.insert(number, text);
            assert!(before.is_none(), "number {number} was given twice");
        }
        self.position = self.position.max(to);
        let position = self.position;
        let (_, other) = self.node();
        // Which may fail at any point.
        let _ = other.refresh().await;
        let _ = blocking(&other, move |log| log.forget_before(position)).await;
    }

    async fn read(&self, log: &Arc<Log>, from: u64, to: u64) -> Result<Vec<(u64, String)>> {
        blocking(log, move |log| {
            let (mut read, mut last) = (Vec::new(), 0);
            log.scan(1, (from, to), Order::OldestFirst, &mut |frame| {
                assert!(frame.first_sequence > last, "numbers grow with positions");
                last = frame.first_sequence;
                let text = frame.records().map(|r| String::from_utf8(r.to_vec()).unwrap()).collect();
                read.push((frame.first_sequence, text));
                Ok(true)
            })?;
            let held = log.pending(1, from).frames;
            assert!(held >= read.len() as u64, "{held} frames are known, and {} read", read.len());
            Ok(read)
        })
        .await
        .inspect_err(|cause: &model::Error| {
            assert_eq!(cause.kind, ErrorKind::Unavailable, "{}", cause.chain())
        })
    }

    async fn clear(&self) {
        let (_, log) = self.node();
        let _ = blocking(&log, Log::clear_orphans).await;
    }

    /// The process is gone; what it has asked for may still be done.
    async fn crash(&mut self) {
        let at = self.pick(2) as usize;
        let begun = self.begin().await;
        let (side, log) = std::mem::replace(&mut self.nodes[at], begun);
        side.cut_off(true);
        if self.pick(2) == 0 {
            self.world.end(&side.node());
        } else {
            // One that was only away, and is taken for dead later.
            let (world, wait) = (self.world.clone(), self.pick(100));
            world.late.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                sleep(Duration::from_millis(wait)).await;
                side.cut_off(wait % 2 == 0);
                world.end(&side.node());
                world.late.fetch_sub(1, Ordering::SeqCst);
                drop(log);
            });
        }
    }

    fn end_behind_its_back(&self) {
        let (side, _) = self.node();
        self.world.end(&side.node());
        side.begin_anew();
    }

    async fn look(&self) {
        let (_, log) = self.node();
        let Ok(to) = log.rotate().await else { return };
        let Ok(read) = self.read(&log, self.position, to).await else { return };
        self.check(self.flushed.clone().into_iter().chain(read).collect());
    }

    /// What is there was sent, once; what was answered is there, under its number, and in the order of answers.
    fn check(&self, found: BTreeMap<u64, String>) {
        let numbers: BTreeMap<&str, u64> =
            found.iter().map(|(number, text)| (text.as_str(), *number)).collect();
        assert_eq!(numbers.len(), found.len(), "a call is there twice: {found:?}");
        for text in numbers.keys() {
            assert!(self.calls.iter().any(|call| call.text == *text), "nobody sent {text}");
        }
        let mut before: Vec<(u64, u64)> = Vec::new();
        for call in &self.calls {
            let Some((answered, number)) = call.answered else { continue };
            assert_eq!(numbers.get(call.text.as_str()), Some(&number), "{call:?} was answered");
            for (earlier, smaller) in &before {
                assert!(*earlier > call.sent || *smaller < number, "{call:?} came after number {smaller}");
            }
            before.push((answered, number));
        }
    }

    /// Nothing fails any more, and nothing is left over.
    async fn settle(mut self) {
        for (side, _) in &self.nodes {
            self.world.end(&side.node());
        }
        let late = async {
            while self.world.late.load(Ordering::SeqCst) > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), late).await.unwrap();
        let side = Side::new(&self.world);
        let log = open(&side).await;
        self.nodes = vec![(side.clone(), log.clone()), (side, log.clone())];
        self.look().await;
        blocking(&log, Log::clear_orphans).await.unwrap();
        assert_eq!(self.world.left_over(), Vec::<String>::new());
        self.flush().await;
        self.check(self.flushed.clone());
        let end = log.rotate().await.unwrap();
        blocking(&log, move |log| log.forget_before(end)).await.unwrap();
        assert_eq!((self.world.objects(), log.start()), (vec![], end));
    }
}
