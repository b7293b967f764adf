"""scripts/release: says what it would do and lacks; packs a static binary with what belongs to it, always the same bytes."""

import hashlib
import os
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

from support.server import binary

ROOT = Path(__file__).parents[1]
TARGET = f"{os.uname().machine}-unknown-linux-gnu"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
NAME = f"lade-{VERSION}-linux-{os.uname().machine}"


def release(*arguments, env=None):
    return subprocess.run([ROOT / "scripts" / "release", *map(str, arguments)], env={**os.environ, **(env or {})},
                          capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    """Any static program."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "lade.c").write_text('#include <stdio.h>\nint main(void) { puts("static"); return 0; }\n')
    subprocess.run(["cc", "-static", "-o", "lade", "lade.c"], cwd=folder, check=True)
    return folder / "lade"


def test_a_dry_run_tells_what_it_would_do_and_does_nothing(tmp_path):
    out = tmp_path / "out"
    done = release("--dry-run", "--out", out)
    assert done.returncode == 0 and not out.exists(), done.stderr
    for target in ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"):
        assert f"{target}: build with " in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last == ("a release needs what is missing, or --target without it" if ": missing: " in done.stdout
                    else "nothing is missing")


def test_what_is_missing_is_named_with_the_way_to_get_it(tmp_path):
    # A machine without compilers: only what the script itself needs.
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "sed", "git", "date", "uname", "readelf"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (tools / name).symlink_to(found)
    done = release("--dry-run", "--target", TARGET, env={"PATH": str(tools)})
    assert done.returncode == 0 and f"{TARGET}: missing: the Rust toolchain" in done.stdout, done.stdout + done.stderr
    done = release("--target", TARGET, "--out", tmp_path / "out", env={"PATH": str(tools)})
    assert done.returncode == 1 and "nothing was built" in done.stderr and not (tmp_path / "out").exists()


def test_a_build_is_static_knows_no_path_and_no_time_of_its_machine(static, tmp_path):
    # In place of the long build, one that tells what it was asked for.
    tools, target_dir = tmp_path / "tools", tmp_path / "target"
    tools.mkdir()
    (tools / "cargo").write_text(f"""#!/bin/sh
echo "$@" >'{tmp_path}/asked'
env >'{tmp_path}/env'
install -D '{static}' '{target_dir}/{TARGET}/release/lade'
""")
    (tools / "cargo").chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "CARGO_TARGET_DIR": str(target_dir)}
    done = release("--target", TARGET, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (target_dir / "release-archives" / f"{NAME}.tar.gz").exists()
    asked = (tmp_path / "asked").read_text().split()
    assert asked == f"build --release --locked --package lade --features cluster --target {TARGET}".split()
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    flags = env["RUSTFLAGS"]
    assert "target-feature=+crt-static" in flags and "strip=symbols" in flags and f"--remap-path-prefix={ROOT}=/lade" in flags
    assert f"-ffile-prefix-map={ROOT}=/lade" in env["CFLAGS_" + TARGET.replace("-", "_")]
    committed = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert env["SOURCE_DATE_EPOCH"] == committed.stdout.strip()


def test_an_archive_holds_what_belongs_to_it_and_is_always_the_same(static, tmp_path):
    sums = []
    for folder in ("first", "second"):
        done = release("--target", TARGET, "--binary", f"{TARGET}={static}", "--out", tmp_path / folder)
        assert done.returncode == 0, done.stderr
        archive = tmp_path / folder / f"{NAME}.tar.gz"
        sums.append(hashlib.sha256(archive.read_bytes()).hexdigest())
        assert (tmp_path / folder / "SHA256SUMS").read_text() == f"{sums[-1]}  {NAME}.tar.gz\n"
    assert sums[0] == sums[1]
    with tarfile.open(archive) as opened:
        members = {member.name.removeprefix(f"{NAME}/"): member for member in opened}
        for name in ("lade", "VERSION", "README.md", "LICENSE", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md",
                     "docs/operating.md", "deploy/lade.service", "deploy/prepare"):
            assert members[name].isfile(), name
        committed = subprocess.run(["git", "ls-files", "deploy", "docs"], cwd=ROOT, capture_output=True, text=True, check=True)
        packed = {name for name, member in members.items() if member.isfile() and name.startswith(("deploy/", "docs/"))}
        assert packed <= set(committed.stdout.split())
        assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}
        assert (members["lade"].mode, members["README.md"].mode) == (0o755, 0o644)
        opened.extractall(tmp_path / "opened", filter="data")
    said = subprocess.run([tmp_path / "opened" / NAME / "lade"], capture_output=True, text=True, check=True)
    assert said.stdout == "static\n"


def test_a_binary_that_would_not_run_everywhere_is_refused(static, tmp_path):
    done = release("--target", TARGET, "--binary", f"{TARGET}={binary()}", "--out", tmp_path / "out")
    assert done.returncode == 1 and "is not static" in done.stderr, done.stdout
    [other] = {"x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"} - {TARGET}
    done = release("--target", other, "--binary", f"{other}={static}", "--out", tmp_path / "out")
    assert done.returncode == 1 and "not for" in done.stderr, done.stdout
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("arguments", [["--target", "x86_64-pc-windows-msvc"], ["--binary", "lade"], ["--unknown"]])
def test_what_is_not_offered_is_refused(arguments):
    done = release("--dry-run", *arguments)
    assert done.returncode == 2 and done.stderr
