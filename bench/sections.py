"""What is measured, a function for each table; `SECTIONS` names them in the order in which they are run."""

from support.export import Export

from bench import data as shapes
from bench.cgroup import MemoryLimit
from bench.measure import Section, Series, take_turns
from bench.ours import small_place
from bench.puts import CONNECTIONS, put_all
from bench.workbench import Exports

SMALL_IMPORT_ROWS = 158_371
SMALL_EXPORTS = 20
MIB = 1 << 20
# What data outgrows the memory by in which it is held, and what a row of uniform interactions takes at least.
MEMORY_TIMES, ROW_BYTES = 10, 41
SHAPES_HELD = {"one-user": "all rows of one user", "distinct": "no two rows of one user"}


def total(bench):
    """The fair comparison: what goes in and comes out is the same for all."""
    data = shapes.uniform(bench.data_folder, bench.rows).made()
    _total(bench, data, "total", "CSV in, distinct CSV out", goal=2)


def _total(bench, data, name, title, goal=None):
    _, expected = bench.right_answer(data)
    exports = Exports(bench, data, "BULK")
    imported, exported = Series("Lade, of this the import", data.rows), Series("Lade, of this the export", data.rows)
    bench.ours.place(data)

    def run():
        exports.drop()
        imported.samples.append(bench.ours.import_full(data))
        exported.samples.append(exports.run())
        return imported.samples[-1] + exported.samples[-1]

    section = bench.compare(
        name, title,
        f"{data.rows:,} rows, {data.size_bytes / 1e6:,.0f} MB of CSV. Ours: import job FULL and export job BULK, each "
        "from its creation to ACTIVE, everything synced. Peers: one query, CSV to distinct CSV, nothing synced.",
        data, [(Series("Lade", data.rows, ours=True), run),
               bench.peer("DuckDB", "duckdb_distinct", [data.path], data, goal=goal),
               bench.peer("Polars", "polars_distinct", [data.path], data)])
    section.series[1:1] = [imported, exported]
    exports.check("Lade", expected)
    for label in ("DuckDB", "Polars"):
        bench.check_peer(label, data, expected)


def imports(bench):
    """Import alone, against conversions to Parquet that drop no duplicates."""
    data = shapes.uniform(bench.data_folder, bench.rows).made()
    bench.ours.place(data)
    bench.compare(
        "import", "Import", "Ours: a FULL import job, which checks, orders and deduplicates. Peers: CSV to Parquet.",
        data, [(Series("Lade, FULL", data.rows, ours=True), lambda: bench.ours.import_full(data)),
               bench.peer("DuckDB, unsorted", "duckdb_parquet", [data.path], data, goal=1),
               bench.peer("DuckDB, ORDER BY ALL", "duckdb_parquet", [data.path], data, goal=2.5, ordered=True),
               bench.peer("Polars, unsorted", "polars_parquet", [data.path], data)])


def exports(bench):
    """Export of what was imported: BULK, the same again, and ALL with 1 % of the rows put before."""
    data = shapes.uniform(bench.data_folder, bench.rows).made()
    bench.ours.holding(data)
    _export_bulk(bench, data)
    _export_all(bench, data)


def _export_bulk(bench, data):
    path, expected = bench.right_answer(data)
    parquet = [bench.parquet(data)]
    bulk, again = Exports(bench, data, "BULK"), Exports(bench, data, "BULK")
    bench.compare(
        "export", "Export BULK",
        "Ours: an export job of imported data, with manifest and hashes. Peers: distinct rows of DuckDB's Parquet as "
        "CSV. Written plainly: the bytes of the result, written and synced.",
        data, [(Series("Lade, BULK", data.rows, ours=True), bulk.run),
               (Series("Lade, BULK once more", data.rows), again.run),
               bench.peer("DuckDB, distinct", "duckdb_distinct", parquet, data, goal=5),
               bench.peer("Polars, distinct", "polars_distinct", parquet, data, goal=4),
               bench.peer("DuckDB, with duplicates", "duckdb_csv", parquet, data),
               bench.peer("written plainly", "write_synced", [path], data, goal=0.6)])
    bulk.check("Lade, BULK", expected)
    again.check("Lade, BULK once more", expected)


def _export_all(bench, data):
    put = shapes.put_rows(data).made()
    _, expected = bench.right_answer(data, put)
    place = bench.ours.place(data)
    rows, seconds = put_all(bench.ours.workshop.endpoint, place.tracking_id, put.path)
    bench.ours.wait_until_flushed()
    parquet = [bench.parquet(data), bench.parquet(put)]
    everything = Exports(bench, data, "ALL")
    section = bench.compare(
        "export-all", "Export ALL",
        f"The same after {rows:,} rows were put one by one, half of them equal to imported ones.",
        data, [(Series("Lade, ALL", data.rows + rows, ours=True), everything.run),
               bench.peer("DuckDB, distinct of both", "duckdb_distinct", parquet, data, goal=5),
               bench.peer("Polars, distinct of both", "polars_distinct", parquet, data, goal=4)])
    section.facts.append(f"Put before: {rows:,} events in {seconds:.1f} s by {CONNECTIONS} Python clients on the same "
                         "cores, their start included (no measure of the server).")
    everything.check("Lade, ALL", expected)


def small(bench):
    """Jobs so small that their overhead is all there is."""
    place = small_place(bench.ours, 10)
    tiny = Series("export of 10 rows", 10)
    few = shapes.uniform(bench.data_folder, SMALL_IMPORT_ROWS).made()
    bench.ours.place(few)
    imports = Series(f"import of {SMALL_IMPORT_ROWS:,} interactions", few.rows)
    section = Section("small", "Small jobs", "From the creation of a job to ACTIVE.", [tiny, imports])
    bench.sections.append(section)
    for _ in range(SMALL_EXPORTS):
        sample, job = bench.ours.export_of(place)
        tiny.samples.append(sample)
    path = job["jobOutput"]["s3DataDestination"]["path"]
    rows = Export(bench.ours.workshop.s3, path, job["jobName"]).check().rows
    bench.note("export of 10 rows", [] if len(rows) == 10 else [f"{len(rows)} rows"])
    imports.samples += [bench.ours.import_full(few) for _ in range(max(bench.rounds, 3))]
    section.facts.append(f"Export of 10 rows, {SMALL_EXPORTS} times: median {tiny.median * 1000:.0f} ms, "
                         f"p95 {tiny.percentile(95) * 1000:.0f} ms (goal: at most 200 ms).")


def footprint(bench):
    """Memory over a server that has just been started, each job in a fresh process, and bytes at rest."""
    bench.stop_ours()
    data = shapes.uniform(bench.data_folder, bench.rows).made()
    ours, section = bench.ours, Section("footprint", "Memory and disk", "Each job as the first one of a fresh process.")
    bench.sections.append(section)
    ours.place(data)
    jobs = {"import FULL": (256, lambda: ours.import_full(data)),
            "export BULK": (64, lambda: ours.export(data, "BULK")[0])}
    for name, (goal, run) in jobs.items():
        ours.restart()
        idle = ours.rss_mib()
        series = Series(f"Lade, {name}", data.rows, samples=[run()])
        section.series.append(series)
        section.facts.append(f"{name}: {series.of('peak_mib') - idle:.0f} MiB at most over the {idle:.0f} MiB of the "
                             f"server that has just been started (goal: at most {goal} MiB).")
    rest, parquet = ours.bytes_of_runs(), bench.parquet(data).stat().st_size
    section.facts.append(f"At rest: {rest / 1e6:,.1f} MB, {rest / data.size_bytes:.3f} of the CSV's "
                         f"{data.size_bytes / 1e6:,.1f} MB; DuckDB's unsorted Parquet with duplicates: "
                         f"{parquet / 1e6:,.1f} MB.")
    bench.stop_ours()


def shape(bench):
    """The fair comparison on data of other shapes."""
    for make, share in ((shapes.skewed, 4), (shapes.duplicates, 4), (shapes.wide, 100)):
        data = make(bench.data_folder, max(bench.rows // share, 1000)).made()
        _total(bench, data, data.shape, f"CSV in, distinct CSV out: {data.shape}. {make.__doc__}")


def scaling(bench):
    """Time per row at several sizes."""
    for rows in bench.sizes:
        data = shapes.uniform(bench.data_folder, rows).made()
        _total(bench, data, f"scaling-{rows}", f"CSV in, distinct CSV out: {rows:,} rows")
        section = bench.sections[-1]
        section.facts += [f"{series.name}: {series.median / rows * 1e9:,.0f} ns a row." for series in section.series]


def cgroup(bench):
    """The whole server held in little memory, page cache included: it has to finish, and rightly."""
    try:
        limit = MemoryLimit(bench.memory)
    except OSError as error:
        bench.sections.append(Section("cgroup", "Held in little memory", f"Can't be done here: {error}."))
        return
    try:
        _held_all_modes(bench, limit)
        for make, share in ((shapes.one_user, 0.5), (shapes.distinct, 5)):
            _held_shape(bench, limit, make(bench.data_folder, int(bench.rows * share)).made())
    finally:
        bench.stop_ours()
        limit.remove()


def _held_all_modes(bench, limit):
    """Data of ten times the memory, first free and then held."""
    bench.stop_ours()
    data = shapes.uniform(bench.data_folder, max(bench.rows, MEMORY_TIMES * bench.memory // ROW_BYTES)).made()
    put = shapes.put_rows(data).made()
    place = bench.ours.place(data)
    put_count, _ = put_all(bench.ours.workshop.endpoint, place.tracking_id, put.path)
    bench.ours.wait_until_flushed()
    modes = {"BULK": [data], "PUT": [put], "ALL": [data, put]}
    exports = {mode: Exports(bench, data, mode) for mode in modes}
    rows = {"BULK": data.rows, "PUT": put_count, "ALL": data.rows + put_count}
    jobs = {"import FULL": (data.rows, lambda: bench.ours.import_full(data))} | {
        f"export {mode}": (rows[mode], one.run) for mode, one in exports.items()}
    free = [(Series(f"{name}, free", count), run) for name, (count, run) in jobs.items()]
    held = [(Series(f"{name}, held", count), run) for name, (count, run) in jobs.items()]
    section = bench.compare(
        "cgroup", f"Held in {bench.memory // MIB} MiB",
        f"{data.rows:,} rows, {data.size_bytes / 1e6:,.0f} MB of CSV, 1 % put one by one. Held: the server started in a "
        "memory cgroup, with its own settings: all that it allocates and caches.", data, free, rounds=1)
    limit.start(bench.ours.restart)
    section.series += [series for series, _ in held]
    take_turns(1, held)
    section.facts += [f"{name}: {slow.median / fast.median:.1f} times the free run (goal: at most 2)."
                      for name, (fast, _), (slow, _) in zip(jobs, free, held)]
    for mode, parts in modes.items():
        exports[mode].check(f"export {mode}, held", bench.right_answer(*parts)[1])


def _held_shape(bench, limit, data):
    """Import and export of one more shape, held from the start."""
    bench.stop_ours()
    _, expected = bench.right_answer(data)
    bench.ours.place(data)
    limit.start(bench.ours.restart)
    bulk = Exports(bench, data, "BULK")
    bench.compare(f"cgroup-{data.shape}", f"Held in {bench.memory // MIB} MiB: {SHAPES_HELD[data.shape]}",
                  f"{data.rows:,} rows, {data.size_bytes / 1e6:,.0f} MB of CSV.", data,
                  [(Series("import FULL, held", data.rows), lambda: bench.ours.import_full(data)),
                   (Series("export BULK, held", data.rows), bulk.run)], rounds=1)
    bulk.check(f"{data.shape}, held", expected)


SECTIONS = {"total": total, "import": imports, "export": exports, "small": small, "footprint": footprint,
            "shapes": shape, "scaling": scaling, "cgroup": cgroup}
