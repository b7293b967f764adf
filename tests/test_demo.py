"""`lade demo`: what a newcomer runs first."""

import re
import subprocess

from support.server import bare_environment, binary


def test_demo_shows_an_export_and_ends_well(tmp_path):
    env = {**bare_environment(), "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    result = subprocess.run([binary(), "demo"], env=env, capture_output=True, text=True, timeout=60,
                            stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    text = result.stdout + result.stderr
    assert {"ALL", "BULK", "PUT"} <= set(re.findall(r"\b(ALL|BULK|PUT)\b", text))
    assert "USER_ID" in text, "the first lines of a CSV are shown"
    assert re.search(r"\d", text) and "duplicate" in text.lower(), "the ledger is shown"
