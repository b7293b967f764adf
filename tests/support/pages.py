"""Runs the blocks of a page as its reader would: in one shell, from top to bottom, against a server of the page's own."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from support import ports
from support.documents import READ, ROOT
from support.ready import of_session
from support.server import bare_environment, binary

PAGE_S = 90
# Ports that the pages name, one behind the other.
NAMED_PORTS = re.compile(r"(?<=[:= ])80([89]\d)\b")
TESTS = ROOT / "tests"
PRELUDE = r"""
shopt -s inherit_errexit
exec 7>>"$__told/failed"
__watch() { trap 'printf "%s: %s\n" "$__at" "$BASH_COMMAND" >&7' ERR; set -eE -o pipefail; }
__ready() { python3 "$__tests/support/ready.py" "$$"; }
start() { lade serve >>"$__told/server.out" 2>>"$__told/server.err" & disown; __ready; eval "$(lade env)"; }
shown() { cp "$__shown" "$1"; }
stop() { python3 "$__tests/support/ready.py" "$$" stop; }
shop() { local made; made=$(PYTHONPATH="$__tests" python3 -m support.shop); eval "$made"; }
__watch
"""
FAILS = r"""
set +e; trap - ERR
(set -e; . {script}); __code=$?
__watch
[ $__code -ne 0 ] || {{ printf '%s: it was to fail, and did not\n' "$__at" >&7; exit 1; }}
"""


def javascript():
    """The folder with the packages of tests/js; None where they are not installed."""
    folder = Path(os.environ.get("LADE_JS") or Path(sys.prefix).parent / "js") / "node_modules"
    return folder if (folder / "@aws-sdk/client-personalize").is_dir() else None


class Reader:
    """A folder that is home and place of work, and what its shell was given."""

    def __init__(self, page, folder):
        self.page, self.folder = page, Path(folder)
        self.home, self.told = self.folder / "home", self.folder / "told"
        self.blocks = [block for block in page.blocks if block.is_run and (block.language != "js" or javascript())]
        # Whoever starts a server himself finds none.
        self.has_server = not any(block.serves for block in self.blocks)
        first = ports.free(20)
        self.port = lambda match: str(first + int(match[1]) - 80)
        self.prepare(first)

    def prepare(self, port):
        for path in (self.home / "target/release", self.home / ".bin", self.told):
            path.mkdir(parents=True)
        for name in ("target/release/lade", ".bin/lade"):
            (self.home / name).symlink_to(Path(binary()).resolve())
        if javascript():
            (self.home / "node_modules").symlink_to(javascript())
        self.env = {
            **{name: value for name, value in bare_environment().items() if not name.startswith("XDG_")},
            "HOME": str(self.home), "LADE_LISTEN": f"127.0.0.1:{port}", "LC_ALL": "C.UTF-8", "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true", "__told": str(self.told), "__tests": str(TESTS),
            "PATH": f"{self.home}/.bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def write(self):
        """The script of the whole page; each block lies in a file of its own, so that one's quotes don't reach the next."""
        parts = [PRELUDE, "start\n" if self.has_server else ""]
        for number, block in enumerate(self.blocks):
            script = self.told / f"{number}.{'mjs' if block.language == 'js' else 'sh'}"
            script.write_text(NAMED_PORTS.sub(self.port, block.text))
            parts.append(f'__shown={self.shown(block)}; __at={shlex.quote(block.place)}; exec >"$__told/{number}.out" 2>"$__told/{number}.err"\n')
            parts.append(self.line(block, script))
            if block.serves and not block.waits:
                parts.append("__ready\n")
        return "".join(parts)

    def shown(self, block):
        """A file with the last block before this one that is read and not run; where there is none, with the next."""
        at = self.page.blocks.index(block)
        found = next((one for one in [*self.page.blocks[at::-1], *self.page.blocks[at:]] if one.language in READ), None)
        file = self.told / "shown" if found is None else self.told / f"{found.line}.{found.language}"
        if found:
            file.write_text(NAMED_PORTS.sub(self.port, found.text))
        return shlex.quote(str(file))

    def line(self, block, script):
        if block.language == "python":
            return f"python3 {script}\n"
        if block.language == "js":
            # Packages are looked for beside the program.
            return f'cp {script} "$HOME/.block.mjs"; node "$HOME/.block.mjs"\n'
        return FAILS.format(script=script) if "fails" in block.marks else f". {script}\n"

    def run(self):
        """Runs all blocks; what went wrong, as sentences."""
        script, said = self.folder / "page.sh", self.told / "shell.err"
        script.write_text(self.write())
        with open(said, "w") as err:
            process = subprocess.Popen(["bash", script], env=self.env, cwd=self.home, start_new_session=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        try:
            process.wait(PAGE_S)
        except subprocess.TimeoutExpired:
            said.write_text(f"not ended after {PAGE_S} s")
        finally:
            _end(process.pid)
            process.wait(10)
        wrong = (self.told / "failed").read_text().splitlines() if (self.told / "failed").exists() else []
        if process.returncode and not wrong:
            wrong = [f"{self.last()}: the shell ended with {process.returncode}: {said.read_text()}"]
        return [f"{line}\n{self.tail()}" for line in wrong[:1]] + self.compared()

    def ran(self):
        return [number for number in range(len(self.blocks)) if (self.told / f"{number}.out").exists()]

    def last(self):
        return self.blocks[self.ran()[-1]].place if self.ran() else self.page.name

    def tail(self):
        files = [self.told / f"{number}.{end}" for number in self.ran()[-1:] for end in ("out", "err")]
        files += [self.told / "server.err"]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in files if path.exists())

    def compared(self):
        """What blocks printed beside what the page says that they do."""
        wrong = []
        for number in self.ran():
            block = self.blocks[number]
            out, err = ((self.told / f"{number}.{end}").read_text(errors="replace") for end in ("out", "err"))
            text = block.marks.get("fails")
            if text and text not in " ".join((out + err).split()):
                wrong.append(f"{block.place}: it was to fail with {text!r}, and said\n{out}{err}")
            after = self.page.blocks[self.page.blocks.index(block) + 1:][:1]
            if after and "prints" in after[0].marks:
                wanted = NAMED_PORTS.sub(self.port, after[0].text)
                if not prints(wanted, out):
                    wrong.append(f"{after[0].place}: this is not what is printed:\n{out}\n--- on standard error\n{err}")
        return wrong


def prints(wanted, out):
    """Whether a program's output is what a page shows, where `…` stands for anything within a line, or for lines."""
    pattern = ""
    for line in wanted.rstrip().splitlines():
        pattern += r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + r" *\n"
    return re.fullmatch(pattern, out.rstrip() + "\n") is not None


def _end(leader):
    for pid in of_session(leader):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
