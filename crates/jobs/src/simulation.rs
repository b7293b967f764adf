//! Seeds that drive everything between an acknowledged put and an export, with crashes and faults between any two steps.
//!
//! A failing seed names itself and the command that repeats it.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

pub(crate) mod house;
pub(crate) mod machine;
mod naive;
mod story;
mod zombie;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use house::Shared;
use tokio::runtime::{Builder, Handle, Runtime};

/// Seeds that have found something once.
const REGRESSIONS: [u64; 1] = [367];

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn play(runtime: &Handle, seed: u64) -> u64 {
    let shared = Shared::get(runtime);
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(story::play(runtime, shared, seed))));
    played.unwrap_or_else(|_| {
        panic!(
            "seed {seed} fails; again: LADE_SIM_SEED={seed} cargo test --release --workspace --lib simulation::seeds"
        )
    })
}

/// 2,000 seeds, as many as LADE_SIM_SEEDS says, or LADE_SIM_SEED alone.
#[test]
fn seeds_lose_nothing_and_invent_nothing() {
    let runtime = runtime();
    let handle = runtime.handle();
    if let Some(seed) = asked("LADE_SIM_SEED") {
        play(handle, seed);
        return;
    }
    for seed in REGRESSIONS {
        play(handle, seed);
    }
    let (next, end) = (AtomicU64::new(0), asked("LADE_SIM_SEEDS").unwrap_or(2000));
    let work = || {
        let mut failed = 0;
        while let seed = next.fetch_add(1, Ordering::SeqCst)
            && seed < end
        {
            failed += u64::from(catch_unwind(AssertUnwindSafe(|| play(handle, seed))).is_err());
        }
        failed
    };
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let failed: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(failed, 0, "{failed} of {end} seeds fail");
}

#[test]
fn a_seed_repeats_itself() {
    let runtime = runtime();
    for seed in 1..12 {
        assert_eq!(play(runtime.handle(), seed), play(runtime.handle(), seed), "seed {seed}");
    }
}
