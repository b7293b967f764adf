"""docs/operating.md and the settings that there are: none is left out, none is made up, and its files can be read."""

import re
import subprocess
import tomllib
from pathlib import Path

from support.server import bare_environment, binary

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "operating.md").read_text()
# Of a command that not every build has.
OF_EXECUTORS = {"LADE_TASKS", "LADE_EXECUTOR_HOST"}


def help_of(*command):
    return subprocess.run([binary(), *command, "--help"], env=bare_environment(), capture_output=True, text=True,
                          check=True).stdout


def told():
    """The variables that the help of any command that runs for long tells."""
    commands = set(re.findall(r"^  (serve|scheduler|executor) ", help_of(), re.M))
    return {name for command in commands for name in re.findall(r"\[env: (LADE_\w+)=", help_of(command))}


def hidden():
    """Those of secrets, which no help tells."""
    sources = (ROOT / "crates" / "cli" / "src" / "settings").rglob("*.rs")
    return {name for path in sources for name in re.findall(r'variable\("(LADE_\w+)"\)', path.read_text())}


def test_every_setting_is_described_and_every_one_described_is_there():
    settings = told() | hidden()
    settings |= set() if "\n  executor " in help_of() else OF_EXECUTORS
    described = set(re.findall(r"LADE_[A-Z0-9_]+[A-Z0-9]", TEXT))
    # `LADE_WEBHOOK_URL`, … stands for those that begin alike.
    missing = {name for name in settings if name not in described and not name.startswith("LADE_WEBHOOK_")}
    assert not missing - {"LADE_CONFIG"}, missing
    assert not described - settings, described - settings


def test_settings_files_in_it_have_members_that_the_server_takes(tmp_path):
    found = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    assert len(found) >= 2
    for number, text in enumerate(found):
        members = tomllib.loads(text)
        # A member that nobody knows is refused by name; one that can't be used, for what it is.
        file = tmp_path / f"{number}.toml"
        file.write_text("\n".join(f"{name} = {literal(value)}" for name, value in members.items()) + "\nunknown_member = 1\n")
        said = subprocess.run([binary(), "serve", "--config", file, "--data-dir", tmp_path / "data"],
                              env=bare_environment(), capture_output=True, text=True, timeout=60)
        assert said.returncode == 1 and "unknown field `unknown_member`" in said.stderr, said.stderr


def literal(value):
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
