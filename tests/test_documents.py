"""The documents: their commands run, their links lead somewhere, and what they name of the command line is there.

Rules for all markdown of the project (`*.md` at the top, below docs/ and deploy/):

1. Blocks of ```sh, ```python and ```js run in the order of their page, in one shell (`set -eE -o pipefail`; variables stay)
   and one scratch folder, which is also HOME. `lade` and `./target/release/lade` are the server under test; `aws`, `python3`
   and boto3 those of the tests; ```js has the packages of tests/js.
2. A server runs on the default data folder, and the shell is as after `eval "$(lade env)"`; unless the page says
   `lade serve … &` as the last line of a block: then it starts its own, and the next block begins when it is ready. With
   `lade health … --wait-s N` as the next line, nobody but that line waits. Ports 8080 to 8099 are replaced by free ones.
3. `<!-- not run: WHY -->` stands right before a block that can't run here. A block without a language is never run: it is no
   place for commands.
4. `<!-- sh: COMMANDS -->` runs and is not seen: preparations and checks. `shop` in it makes the world of support/shop.py, `stop`
   ends the server, `start` starts it again, `shown FILE` writes the last block of toml, json or yaml (or the first) to a file.
5. `<!-- prints -->` before a block without a language, right after one that ran: this is what it wrote to standard output.
   `…` stands for anything within a line, on a line of its own for any number of lines.
6. `<!-- fails: TEXT -->` before a block of sh: it ends with another code than 0 and says TEXT.
7. ```toml, ```json and ```yaml can be read. Other languages, and other names of these, are refused.
8. Each `lade COMMAND --flag` in a block or between backticks is one that there is, and so is each flag alone, each file and
   each variable LADE_…. Links between documents lead to a file and a heading. The table of settings in docs/operating.md has
   those that the server knows.
"""

import json
import re
import subprocess
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from support import documents, wording
from support.documents import ROOT
from support.pages import Reader, javascript, prints
from support.server import bare_environment, binary

PAGES = {name: documents.read(name) for name in documents.names()}
# Decisions tell of their day: what they name may have gone since.
CURRENT = [name for name in PAGES if not name.startswith("docs/decisions/")]
RUN = [name for name, page in PAGES.items() if any(block.is_run for block in page.blocks)]
_ran = Counter()


@pytest.fixture(scope="module", autouse=True)
def told(note):
    yield
    left = Counter(block.marks["not run"] for page in PAGES.values() for block in page.blocks if "not run" in block.marks)
    if _ran:
        note(f"documents: {_ran.total()} blocks of {len(_ran)} pages ran, {left.total()} did not: "
             + "; ".join(f"{why} ({count})" for why, count in left.most_common()))
    if not javascript() and any(block.language == "js" for page in PAGES.values() for block in page.blocks):
        note("documents: blocks of js were left out; to install their packages: npm ci in a copy of tests/js, named in LADE_JS")


@pytest.fixture(scope="module")
def readers(request, tmp_path_factory):
    """The reader of each page that is asked for, and what went wrong; two read at a time, because commands mostly wait."""
    asked = [item.callspec.params["name"] for item in request.session.items
             if getattr(item, "function", None) is test_the_commands_of_a_page_run]
    readers = {name: Reader(PAGES[name], tmp_path_factory.mktemp("page")) for name in asked}
    with ThreadPoolExecutor(2) as pool:
        yield {name: (reader, pool.submit(reader.run)) for name, reader in readers.items()}


@pytest.mark.parametrize("name", RUN)
def test_the_commands_of_a_page_run(name, readers):
    reader, running = readers[name]
    wrong = running.result()
    assert not wrong, "\n".join(wrong)
    assert len(reader.ran()) == len(reader.blocks)
    _ran[name] = sum(not block.is_hidden for block in reader.blocks)


@pytest.mark.parametrize("name", PAGES)
def test_blocks_and_marks_are_as_the_rules_say(name):
    assert not PAGES[name].wrong, "\n".join(PAGES[name].wrong)


def test_what_is_given_to_be_read_can_be_read():
    readers = {"toml": tomllib.loads, "json": json.loads, "yaml": lambda text: list(yaml.safe_load_all(text))}
    for page in PAGES.values():
        for block in page.blocks:
            if block.language in readers and "not run" not in block.marks:
                try:
                    assert readers[block.language](block.text), block.place
                except ValueError as error:
                    pytest.fail(f"{block.place}: {error}")


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_a_file_and_a_heading(name):
    lost = documents.lost(PAGES[name], PAGES)
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize("name", CURRENT)
def test_files_and_variables_that_are_named_are_there(name):
    # Of files with a point in front some are made, and in no repository.
    paths = {span for span in PAGES[name].spans
             if re.fullmatch(r"(?:crates|tests|docs|xtask|bench|deploy|scripts|\.ci)(?:/\w[\w.-]*)+/?", span)}
    paths |= {f"tests/{file}" for file in re.findall(r"\btest_\w+\.py\b", PAGES[name].text)}
    lost = sorted(path for path in paths if not (ROOT / path).exists())
    lost += sorted(set(re.findall(r"\bLADE_[A-Z0-9_]*[A-Z0-9]\b", PAGES[name].text)) - wording.variables())
    assert not lost, f"not there: {lost}"


def test_the_figures_of_the_front_page_are_those_of_the_benchmark():
    measured = (ROOT / "docs/benchmarks.md").read_text().splitlines()[0].removeprefix("# ")
    assert f"> {measured}\n" in PAGES["README.md"].text


def test_the_index_has_every_page():
    index = {target.partition("#")[0] for target in PAGES["docs/README.md"].links}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert not pages - index, f"not in docs/README.md: {pages - index}"


@pytest.mark.parametrize("name", CURRENT)
def test_commands_and_flags_that_are_named_are_there(name):
    wrong = wording.wrong(PAGES[name])
    assert not wrong, "\n".join(wrong)


def test_the_table_of_settings_has_those_that_the_server_knows(tmp_path):
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \| ([^|]+) \|", (ROOT / "docs/operating.md").read_text(), re.M)
    rows = [row for row in rows if "LADE_" in row[1]]
    described = {name for members, _, _ in rows for name in re.findall(r"`(\w+)`", members)}
    (tmp_path / "lade.toml").write_text("unknown_member = 1\n")
    said = subprocess.run([binary(), "serve", "--config", tmp_path / "lade.toml", "--data-dir", tmp_path / "data"],
                          env=bare_environment(), capture_output=True, text=True, timeout=60)
    assert said.returncode == 1, said.stderr
    known = set(re.findall(r"`(\w+)`", said.stderr.partition("expected")[2]))
    assert len(known) > 40, said.stderr
    assert described == known, f"only described: {described - known}; only there: {known - described}"
    _, flags = wording.known(["serve"])
    told = {flag for _, _, cell in rows for flag in re.findall(r"`(--[\w-]+)`", cell)}
    assert told <= flags, told - flags


# What keeps these tests from passing for nothing.

def test_a_mark_without_a_reason_and_other_spellings_are_refused():
    def wrong(text):
        return documents.parse("page.md", text).wrong

    fence = "```sh\nlade status\n```\n"
    assert not wrong(f"Text.\n\n<!-- not run: it would take a cluster -->\n{fence}")
    for text in ("<!-- not run: -->\n" + fence, "<!-- not run -->\n" + fence, "<!-- skip: me -->\n" + fence,
                 "<!-- not run: why -->\nText.\n\n" + fence, "```bash\nlade status\n```\n", "```\nlade status\n```\n",
                 "<!-- prints -->\n" + fence, "<!-- prints -->\n```\nout\n```\n", "```sh\nlade status\n", "```rust\n```\n",
                 "```sh\nlade serve \\\n  --listen 127.0.0.1:0 >log 2>&1 & # here\nlade status\n```\n",
                 "```sh\nlade serve &\nlade health\n```\n"):
        assert wrong(text), text
    assert not wrong("```sh\nlade serve &\nlade health --wait-s 30 && lade status\n```\n")


def test_a_failing_line_fails_the_page_and_later_ones_do_not_run(tmp_path):
    def run(number, text):
        page = documents.parse("page.md", text)
        assert not page.wrong, page.wrong
        reader = Reader(page, tmp_path / str(number))
        reader.has_server = False
        return reader.run()

    assert run(0, "```sh\nX=1\n```\n\n```sh\necho $X; test -e later || touch later\n```\n<!-- prints -->\n```\n1\n```\n") == []
    assert "page.md:1: false" in run(1, "```sh\nfalse\ntouch later\n```\n")[0]
    assert not (tmp_path / "1/home/later").exists()
    assert "page.md:1: false" in run(2, '```sh\neval "$(false)"\n```\n')[0]
    assert run(3, "```sh\necho 2\n```\n<!-- prints -->\n```\n1\n```\n")
    assert run(4, "<!-- fails: no such -->\n```sh\nls nothing-there; exit 3\n```\n")
    assert run(5, "<!-- fails: nothing-there -->\n```sh\nls nothing-there\n```\n") == []
    assert run(6, "<!-- fails: nothing -->\n```sh\necho nothing\n```\n")
    assert run(7, "```python\nimport boto3\nraise SystemExit(3)\n```\n")
    assert run(8, '```sh\necho "unfinished\n```\n\n```sh\ntrue\n```\n')


@pytest.mark.parametrize("text, told", [
    ("`lade serve --nope`", "lade serve has no --nope"), ("`lade sevre`", "no lade sevre"), ("`--nope`", "takes the flag --nope"),
    ("```sh\nX=1 lade bench put \\\n  --nope\n```\n", "lade bench put has no --nope"),
    ("Text `eval \"$(lade env --nope)\"`.", "lade env has no --nope"),
])
def test_a_command_or_flag_that_is_not_there_is_told(text, told):
    (said,) = wording.wrong(documents.parse("page.md", text))
    assert told in said


@pytest.mark.parametrize("text, told", [
    ("[a](nowhere.md)", "nowhere.md"), ("[a](#none)", "#none"), ("[a](README.md#none)", "README.md#none"),
    ("![a](docs/none.png)", "none.png"), ("See docs/none.md.", "docs/none.md"), ("[a](../README.md)", "../README.md"),
])
def test_a_link_that_leads_nowhere_is_told(text, told):
    page = documents.parse("page.md", text)
    (said,) = documents.lost(page, {**PAGES, "page.md": page})
    assert told in said
    good = documents.parse("page.md", "# A b\n\n[a](#a-b) [a](README.md#lade) [a](https://example.com) docs/README.md `[a](b)`")
    assert documents.lost(good, {**PAGES, "page.md": good}) == []


def test_output_may_leave_out_what_changes():
    assert prints("a\n… b …\n", "a\n12 b 3\n") and prints("a\n…\nz", "a\nb\nc\nz\n") and prints("a\n…\nz", "a\nz\n")
    assert not prints("a\n", "a\nb\n") and not prints("a.c\n", "abc\n") and not prints("a\n…\nz", "a\nb\n")


def test_enough_of_it_runs():
    blocks = [block for page in PAGES.values() for block in page.blocks if block.is_run and not block.is_hidden]
    assert len(blocks) >= 40 and "README.md" in RUN
