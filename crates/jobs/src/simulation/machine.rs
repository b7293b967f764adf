//! The simulated machine: it counts its steps, which are disk operations and catalog transactions, and fails at some.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::Gate;
use model::error::Error;
use store::disk::simulated::{Failing, Op, Watch};

/// What happens in the midst of something else, between two of its steps.
pub type Visit = Box<dyn FnOnce() + Send>;

/// From its last step on, nothing that is asked of it happens any more.
#[derive(Default)]
pub struct Machine {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: u64,
    dies_at: Option<u64>,
    is_dead: bool,
    faults: Option<Faults>,
    hits: u64,
    visit: Option<(u64, Visit)>,
    trace: DefaultHasher,
}

/// Steps that fail.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub from: u64,
    pub times: u64,
    pub how: Failing,
}

impl Machine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine stops for good when it has made so many steps more.
    pub fn die_in(&self, steps: u64) {
        let mut state = self.state();
        state.dies_at = Some(state.steps + steps);
    }

    pub fn die(&self) {
        self.state().is_dead = true;
    }

    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// `faults.from` counts from now.
    pub fn fail(&self, faults: Faults) {
        let mut state = self.state();
        state.faults = Some(Faults { from: state.steps + faults.from, ..faults });
    }

    /// Ends what was to fail and what was to end it.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.faults, state.dies_at) = (None, None);
    }

    /// How many steps have failed.
    pub fn hits(&self) -> u64 {
        self.state().hits
    }

    pub fn visit_in(&self, steps: u64, visit: Visit) {
        let mut state = self.state();
        state.visit = Some((state.steps + steps, visit));
    }

    /// Whether the visit that was announced has not come yet; it will not come any more.
    pub fn forget_visit(&self) -> bool {
        self.state().visit.take().is_some()
    }

    pub fn note(&self, what: impl Hash) {
        what.hash(&mut self.state().trace);
    }

    /// All that happened, as one number.
    pub fn trace(&self) -> u64 {
        self.state().trace.finish()
    }

    fn step(&self, what: impl Hash) -> Option<Failing> {
        let visit = {
            let mut state = self.state();
            state.steps += 1;
            what.hash(&mut state.trace);
            let now = state.steps;
            state.visit.take_if(|(at, _)| *at <= now)
        };
        if let Some((_, visit)) = visit {
            visit();
        }
        let mut state = self.state();
        state.is_dead |= state.dies_at.is_some_and(|last| state.steps >= last);
        let is_hit = |f: &Faults| (f.from..f.from.saturating_add(f.times)).contains(&state.steps);
        let fault = state.faults.filter(is_hit).map(|f| f.how);
        let failing = if state.is_dead { Some(Failing::Dead) } else { fault };
        state.hits += u64::from(failing.is_some());
        failing
    }

    /// Each operation of a disk is a step.
    pub fn watch(self: &Arc<Machine>, disk: &'static str) -> Watch {
        let machine = self.clone();
        Arc::new(move |op: Op| machine.step((disk, op)))
    }

    /// Each transaction of the catalog is a step.
    pub fn gate(self: &Arc<Machine>) -> Gate {
        let machine = self.clone();
        Arc::new(move || match machine.step("transaction") {
            Some(_) => Err(Error::unavailable("the simulated machine failed")),
            None => Ok(()),
        })
    }
}
