"""The command lines that documents name, and what the binary's help says that there is."""

import functools
import re
import subprocess
from pathlib import Path

from support.documents import ROOT
from support.server import bare_environment, binary, has_cluster

# Where a command line begins: at a line's start, behind a variable that is set, or behind what joins commands.
BEGINS = re.compile(r"(?:^|[;&|(]\s*|\b(?:sudo|time|nohup|exec|then|do) )(?:[A-Z_]+=\S* )*(?:\S*/)?lade (?=[a-z-])", re.M)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Flags of programs that are not ours.
OF_OTHERS = {
    "--release", "--workspace", "--features", "--lib", "--bins", "--bench", "--all", "--locked", "--remap-path-prefix",
}
# Programs of the project whose flags are in their sources.
SOURCES = ("scripts", "xtask/src", "bench", "tests/drill.py", "tests/support/drill.py", "tests/conftest.py")


def wrong(page):
    """What a page names of the command line that is not there, as sentences."""
    said = []
    for place, text in commands(page):
        words, flags = split(text)
        if words[:1] in (["scheduler"], ["executor"]) and not has_cluster():
            continue
        command, there = known(words)
        if words and not command:
            said.append(f"{place}: there is no lade {words[0]}")
        else:
            said += [f"{place}: lade {' '.join(command)} has no {flag}" for flag in flags if flag not in there]
    return said + [f"{page.name}: nothing takes the flag {flag}" for flag in flags_alone(page) if flag not in all_flags()]


def commands(page):
    """Each command line of `lade` that a page names: where, and what stands behind `lade`."""
    for block in page.blocks:
        if block.language in ("sh", "sh:", ""):
            text = re.sub(r"\\\n\s*", " ", block.text)
            text = re.sub(r"(^|\s)#.*", r"\1", text)
            yield from ((block.place, text[match.end():].split("\n")[0]) for match in BEGINS.finditer(text))
    for span in page.spans:
        yield from ((page.name, span[match.end():]) for match in BEGINS.finditer(span))


def split(text):
    """The words before the first flag, and all flags, of one command."""
    quote, end = None, len(text)
    for at, letter in enumerate(text):
        if quote:
            quote = None if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in ";|&<>)#":
            end = at
            break
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "''", text[:end])
    words = re.split(r"\s-", " " + text, maxsplit=1)[0].split()
    return [word for word in words[:2] if re.fullmatch(r"[a-z][a-z-]*", word)], FLAG.findall(text)


def known(words):
    """The command that the words begin with, and its flags; no command where the first is none."""
    command, (names, flags) = [], _help()
    for word in words:
        if word not in names:
            break
        command.append(word)
        names, flags = _help(*command)
    return command, flags


def flags_alone(page):
    """Flags between backticks that no command stands before."""
    return {flag for span in page.spans if span.startswith("--") for flag in FLAG.findall(span)}


@functools.cache
def all_flags():
    """Those of all commands, and of the project's own programs."""
    flags, commands = set(OF_OTHERS), [()]
    while commands:
        command = commands.pop()
        names, more = _help(*command)
        flags |= more
        commands += [(*command, name) for name in names if name != "help"]
    for source in SOURCES:
        path = ROOT / source
        for file in [path] if path.is_file() else filter(Path.is_file, path.rglob("*")):
            flags |= set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", file.read_text(errors="replace")))
    return flags


@functools.cache
def variables():
    """The names of environment variables that any source of the project mentions."""
    sources = [*ROOT.glob("crates/*/src/**/*.rs"), *ROOT.glob("crates/*/tests/**/*.rs")]
    sources += [path for folder in ("xtask/src", "tests", "bench", "deploy", "scripts") for path in (ROOT / folder).rglob("*")
                if path.suffix in (".rs", ".py", ".js", ".yaml", "") and path.is_file() and "node_modules" not in path.parts]
    return {name for path in sources for name in re.findall(r"\bLADE_[A-Z0-9_]*[A-Z0-9]\b", path.read_text(errors="replace"))}


@functools.cache
def _help(*command):
    """The commands below one, and its flags."""
    text = subprocess.run([binary(), *command, "--help"], env=bare_environment(), capture_output=True, text=True, check=True,
                          timeout=60).stdout
    below = re.search(r"^Commands:\n((?:  .*\n|\n)*)", text, re.M)
    return re.findall(r"^  ([a-z][a-z-]*)", below[1], re.M) if below else [], set(FLAG.findall(text)) | {"--help"}
