"""Samples, and series of them taken in turns."""

import math
import os
import statistics
from dataclasses import dataclass, field


@dataclass
class Sample:
    """One run: wall time, CPU time of the process that did the work, and the peak of its resident memory."""

    seconds: float
    cpu_s: float | None = None
    peak_mib: float | None = None

    def __add__(self, other):
        return Sample(self.seconds + other.seconds, self.cpu_s + other.cpu_s, max(self.peak_mib, other.peak_mib))


@dataclass
class Series:
    """The samples of one contestant. `goal` says how many times our time it should take, at least."""

    name: str
    rows: int
    size_bytes: int = 0
    ours: bool = False
    goal: float | None = None
    samples: list = field(default_factory=list)

    @property
    def median(self):
        return statistics.median(sample.seconds for sample in self.samples)

    def percentile(self, percent):
        """The smallest time that so many percent of the samples do not exceed."""
        ordered = sorted(sample.seconds for sample in self.samples)
        return ordered[math.ceil(len(ordered) * percent / 100) - 1]

    @property
    def spread(self):
        times = [sample.seconds for sample in self.samples]
        return min(times), max(times)

    def of(self, name):
        """The median of CPU time, or the largest peak; None if it was not taken."""
        values = [value for sample in self.samples if (value := getattr(sample, name)) is not None]
        if not values:
            return None
        return max(values) if name == "peak_mib" else statistics.median(values)


@dataclass
class Section:
    """One table: what was measured, a sentence on how, the series, and lines of figures that are no times."""

    name: str
    title: str
    how: str
    series: list = field(default_factory=list)
    facts: list = field(default_factory=list)

    @property
    def complete(self):
        """Whether every series has a sample: false when a run failed midway."""
        return all(series.samples for series in self.series)

    @property
    def ours(self):
        return next((series for series in self.series if series.ours), None)

    def ratio(self, series):
        """How many times our median time this series took."""
        return series.median / self.ours.median

    @staticmethod
    def from_json(found):
        series = [Series(**{**one, "samples": [Sample(**sample) for sample in one["samples"]]})
                  for one in found["series"]]
        return Section(**{**found, "series": series})


def take_turns(rounds, contestants):
    """Runs each contestant once a round, in turned order every second round; `contestants` are (series, function)."""
    for number in range(rounds):
        for series, run in contestants if number % 2 == 0 else reversed(contestants):
            os.sync()  # nobody waits for what another one left to be written
            sample = run()
            series.samples.append(sample)
            print(f"  round {number + 1}: {series.name:<44} {sample.seconds:9.3f} s", flush=True)
