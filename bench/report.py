"""Sections as tables: plain on the terminal, Markdown in docs/benchmarks.md."""

from bench.measure import Section

HEADS = ["", "median", "min – max", "CPU", "peak memory", "rows/s", "against Lade"]


def terminal(section):
    """The section's table and facts as lines of plain text."""
    rows = [HEADS, *table(section)] if section.series else []
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEADS))] if rows else []
    lines = ["", f"== {section.title}", section.how]
    for name, *figures in rows:
        cells = [text.rjust(width) for text, width in zip(figures, widths[1:])]
        lines.append("  ".join([name.ljust(widths[0]), *cells]).rstrip())
    return "\n".join([*lines, *section.facts])


def table(section):
    """A row of texts for each series, in the order of HEADS."""
    for series in section.series:
        low, high = series.spread
        cpu, peak = series.of("cpu_s"), series.of("peak_mib")
        yield [series.name, duration(series.median), f"{duration(low)} – {duration(high)}",
               "" if cpu is None else duration(cpu), "" if peak is None else f"{peak:,.0f} MiB",
               f"{series.rows / series.median:,.0f}", _against(section, series)]


def markdown(found):
    """The whole page from the JSON of a run."""
    sections = [Section.from_json(section) for section in found["sections"]]
    lines = [f"# {headline(sections) or 'Benchmarks'}", "", *_preface(found), ""]
    for section in sections:
        lines += [f"## {section.title}", "", section.how, ""]
        if section.series:
            lines += [_line(HEADS), _line(["---", *["---:"] * (len(HEADS) - 1)]), *map(_line, table(section)), ""]
        lines += [line for fact in section.facts for line in (f"- {fact}",)] + [""] * bool(section.facts)
    return "\n".join(lines).rstrip() + "\n"


def headline(sections):
    """The fair total in one line, or nothing when it was not measured."""
    total = next((section for section in sections if section.name == "total"), None)
    if total is None:
        return ""
    size = f"{total.ours.size_bytes / 1e6:,.0f} MB of CSV in, distinct CSV out: Lade {duration(total.ours.median)}"
    peers = [series for series in total.series if not series.name.startswith("Lade")]
    return ", ".join([size, *(f"{peer.name} {duration(peer.median)} ({total.ratio(peer):.2f}x)" for peer in peers)])


def duration(seconds):
    if seconds < 1:
        return f"{seconds * 1000:,.0f} ms"
    return f"{seconds:,.2f} s" if seconds < 100 else f"{seconds:,.0f} s"


def _against(section, series):
    if section.ours is None:
        return ""
    goal = f" (goal ≥ {series.goal:g}x)" if series.goal else ""
    return f"{section.ratio(series):.2f}x{goal}"


def _preface(found):
    machine = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return [
        "All run in turns in the same run, on the same disk and the same cores, the order turned round every second "
        "round. The last column says how many times our time a contestant took: above 1 we are faster. Memory is the "
        "peak of the resident set of the whole process.",
        "",
        f"- {machine['cpu']}, {machine['cores']} cores used, {machine['memory_gib']:.0f} GiB, "
        f"Linux {machine['kernel']}",
        f"- {versions}",
        f"- {found['date']}, commit {found['commit']}: `{found['command']}`",
        f"- {found['checked']} answers compared with DuckDB's rows, manifest and ledger included; "
        f"{len(found['failures'])} wrong or failed",
        *(f"- failed: {failure}" for failure in found["failures"]),
    ]


def _line(cells):
    return f"| {' | '.join(cells)} |"
