"""What sections share: the server, the peers' inputs and outputs, the right answers, and what was found wrong."""

import json
import os
import shutil

from bench.check import check_export, digest
from bench.child import run_child
from bench.measure import Sample, Section, Series, take_turns
from bench.ours import Ours


class Workbench:
    """Rows of the main data and rounds as asked for; a server is started when a section first needs it."""

    def __init__(self, folder, rows, rounds, sizes=(), memory=None):
        self.folder, self.rows, self.rounds, self.sizes, self.memory = folder, rows, rounds, sizes, memory
        self.data_folder, self.out = folder / "data", folder / "out"
        self.sections, self.failures, self.checked = [], [], 0
        self._ours = None
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)

    @property
    def ours(self):
        self._ours = self._ours or Ours(self.folder / "server")
        return self._ours

    def stop_ours(self):
        """Ends the server and removes its folder: the next use starts another one."""
        if self._ours:
            self._ours.close()
        self._ours = None

    def close(self):
        """Removes what the server and the peers wrote; the data stays for the next run."""
        self.stop_ours()
        shutil.rmtree(self.out, ignore_errors=True)

    def compare(self, name, title, how, data, contestants, rounds=None):
        """Lets the contestants run in turns; the section that holds them."""
        section = Section(name, title, how, [series for series, _ in contestants])
        for series in section.series:
            series.rows, series.size_bytes = series.rows or data.rows, data.size_bytes
        self.sections.append(section)
        take_turns(rounds or self.rounds, contestants)
        return section

    def peer(self, label, work, sources, data, goal=None, **more):
        """A contestant that runs a function of bench.peers on files; its output stays until its next run."""
        output = self.output(label)

        def run():
            output.unlink(missing_ok=True)
            os.sync()
            return run_child(work, sources=[str(source) for source in sources], output=str(output),
                             columns=data.columns, **more)[0]

        return Series(label, 0, goal=goal), run

    def output(self, label):
        return self.out / "".join(c if c.isalnum() else "-" for c in label)

    def right_answer(self, *parts):
        """DuckDB's distinct rows of these files, and their digest; kept with the data."""
        path = parts[0].path.with_suffix(f".distinct-{len(parts)}.csv")
        known = path.with_suffix(".json")
        if not known.exists():
            sources = [str(part.path) for part in parts]
            run_child("duckdb_distinct", sources=sources, output=str(path), columns=parts[0].columns)
            known.write_text(json.dumps(digest([path], parts[0].columns)))
        return path, json.loads(known.read_text())

    def parquet(self, data):
        """DuckDB's unsorted Parquet of a file, duplicates and all: what a peer exports from."""
        if not data.parquet.exists():
            partial = data.parquet.with_suffix(".partial")
            run_child("duckdb_parquet", sources=[str(data.path)], output=str(partial), columns=data.columns)
            partial.rename(data.parquet)
        return data.parquet

    def check_ours(self, label, data, job, expected):
        self.note(label, check_export(self.ours, job, data, expected, self.out / "answer"))

    def check_peer(self, label, data, expected):
        found = digest([self.output(label)], data.columns)
        self.note(label, [] if found == expected else [f"found {found}, expected {expected}"])

    def note(self, label, differences):
        """Counts one checked answer, and keeps what was wrong with it."""
        self.checked += 1
        self.failures += [f"{self.sections[-1].name}, {label}: {text}" for text in differences]
        print(f"  answer of {label}: {'WRONG' if differences else 'right'}", flush=True)


class Exports:
    """Our exports of one dataset and mode as a contestant: the newest one is kept for its answer to be checked."""

    def __init__(self, bench, data, mode):
        self.bench, self.data, self.mode, self.job = bench, data, mode, None

    def run(self) -> Sample:
        self.drop()
        os.sync()
        sample, self.job = self.bench.ours.export(self.data, self.mode)
        return sample

    def check(self, label, expected):
        self.bench.check_ours(label, self.data, self.job, expected)
        self.drop()

    def drop(self):
        if self.job:
            self.bench.ours.drop(self.job)
        self.job = None
