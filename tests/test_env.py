"""`lade env`: whatever a shell was used for before, its stock clients then talk to this server, and back again."""

import json
import subprocess

import pytest

from support.clients import AWS
from support.server import Server

NOWHERE = "http://127.0.0.1:9"
POLLUTION = {
    "AWS_PROFILE": "a-profile-that-is-not-there",
    "AWS_ACCESS_KEY_ID": "ASIASTALESTALESTALE0",
    "AWS_SECRET_ACCESS_KEY": "stale",
    "AWS_SESSION_TOKEN": "stale",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "ap-south-1",
    "AWS_ENDPOINT_URL_S3": NOWHERE,
    "AWS_ENDPOINT_URL_PERSONALIZE": NOWHERE,
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "http_proxy": NOWHERE,
    "HTTP_PROXY": NOWHERE,
}


@pytest.fixture(scope="module")
def keyless(tmp_path_factory):
    """A server that was given no root key and made one."""
    server = Server(tmp_path_factory.mktemp("keyless"))
    for name in ("LADE_ROOT_ACCESS_KEY_ID", "LADE_ROOT_SECRET_ACCESS_KEY"):
        del server.env[name]
    server.start()
    yield server
    server.kill()


def shell(server, script, **env):
    env = {**server.env, "LADE": server.process.args[0], "DATA": str(server.data_dir), "AWS": AWS, **env}
    result = subprocess.run(["bash", "-euc", script], env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def variables(output):
    """What `env -0` printed, without what a shell counts for itself."""
    pairs = (line.split("=", 1) for line in output.split("\0") if "=" in line)
    return {name: value for name, value in pairs if name not in ("_", "SHLVL")}


def test_a_polluted_shell_is_put_right(keyless):
    output = shell(keyless, """
        eval "$("$LADE" env --data-dir "$DATA")"
        "$AWS" sts get-caller-identity --query Account --output text
        "$AWS" s3 mb s3://from-a-polluted-shell
        "$AWS" s3 ls
        "$AWS" personalize list-dataset-groups --output json
    """, **POLLUTION)
    assert output.startswith("000000000000\n")
    assert output.count("from-a-polluted-shell") == 2
    assert json.loads(output[output.index("{"):]) == {"datasetGroups": []}


def test_undo_brings_back_what_was_set(keyless):
    before = variables(shell(keyless, "env -0", **POLLUTION))
    after = variables(shell(keyless, """
        eval "$("$LADE" env --data-dir "$DATA")"
        eval "$("$LADE" env --data-dir "$DATA")"
        eval "$("$LADE" env --undo)"
        env -0
    """, **POLLUTION))
    assert after == before


def test_a_profile_works_in_a_clean_shell(keyless, tmp_path):
    files = {"HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / "config"),
             "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    output = shell(keyless, """
        "$LADE" env --data-dir "$DATA" --profile here >/dev/null
        "$AWS" --profile here sts get-caller-identity --query Account --output text
    """, **files)
    assert output == "000000000000\n"
    assert (tmp_path / "credentials").stat().st_mode & 0o077 == 0


def test_the_made_key_is_kept_shown_once_and_never_logged(keyless):
    first = variables(shell(keyless, 'eval "$("$LADE" env --data-dir "$DATA")"; env -0'))
    secret = first["AWS_SECRET_ACCESS_KEY"]
    assert first["AWS_ENDPOINT_URL"] == keyless.endpoint and len(secret) >= 40
    keyless.restart()
    again = variables(shell(keyless, 'eval "$("$LADE" env --data-dir "$DATA")"; env -0'))
    assert again["AWS_SECRET_ACCESS_KEY"] == secret
    assert (keyless.folder / "stdout").read_text().count(secret) == 1
    assert secret not in (keyless.folder / "stderr").read_text()
