//! What a run is told to have done: a table for people, one line of JSON for programs.

use serde::Serialize;

use super::load::Outcome;
use super::proof::Proof;

#[derive(Serialize)]
pub struct Report {
    /// Records of whichever kind that the server answered for; none by calls that do nothing.
    pub events_acknowledged: u64,
    pub events_per_second: f64,
    pub calls_acknowledged: u64,
    pub calls_per_second: f64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    pub throttled: u64,
    pub failed: u64,
    #[serde(flatten)]
    pub proof: Option<Proof>,
}

impl Report {
    pub fn new(outcome: &Outcome, does_nothing: bool) -> Report {
        let calls = outcome.acknowledged.count();
        let records = if does_nothing { 0 } else { calls * outcome.records.per_call() };
        let seconds = outcome.took.as_secs_f64();
        let latencies = &outcome.latencies;
        Report {
            events_acknowledged: records,
            events_per_second: rate(records, seconds),
            calls_acknowledged: calls,
            calls_per_second: rate(calls, seconds),
            seconds: rounded(seconds),
            p50_ms: latencies.per_mille_ms(500),
            p90_ms: latencies.per_mille_ms(900),
            p99_ms: latencies.per_mille_ms(990),
            p999_ms: latencies.per_mille_ms(999),
            max_ms: latencies.max_ms(),
            throttled: outcome.throttled,
            failed: outcome.failed,
            proof: None,
        }
    }

    /// Whether all went well: something was acknowledged, nothing failed, nothing is missing.
    pub fn is_good(&self) -> bool {
        let is_proven = self.proof.as_ref().is_none_or(|proof| proof.verified);
        self.calls_acknowledged > 0 && self.failed == 0 && is_proven
    }

    pub fn table(&self) -> String {
        let Report { events_acknowledged, events_per_second, calls_per_second, seconds, .. } = self;
        let mut text = format!(
            "Records   {events_acknowledged} acknowledged in {seconds:.1} s, {events_per_second:.0} a second\n\
             Calls     {} acknowledged, {calls_per_second:.0} a second, {} throttled, {} failed\n\
             Latency   half within {:.2} ms, 99 % within {:.2} ms, 99.9 % within {:.2} ms, the slowest {:.2} ms\n",
            self.calls_acknowledged,
            self.throttled,
            self.failed,
            self.p50_ms,
            self.p99_ms,
            self.p999_ms,
            self.max_ms,
        );
        if let Some(Proof { found, missing, unexpected, unacknowledged, .. }) = &self.proof {
            text.push_str(&format!(
                "Export    {found} of them are there, {missing} are missing, {unexpected} are there that must not be, \
                 {unacknowledged} without an answer\n"
            ));
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate to show")]
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { rounded(count as f64 / seconds) } else { 0.0 }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
