"""The AWS SDK for Rust against the server: the whole flow, and every operation, in a program of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from support.operations import DATA_SIDE
from support.policies import EXPORT, IMPORT
from support.server import binary


def flow():
    """Where the compiled program is."""
    return Path(os.environ.get("LADE_RUST_SDK_FLOW") or Path(binary()).parent / "examples" / "rust_sdk_flow")


@pytest.fixture(scope="module")
def run(server, workshop):
    """Runs the program with a bucket and a role; what it prints."""
    if not flow().exists():
        pytest.skip("the example rust_sdk_flow is not built: cargo build --release --examples")
    both = sorted({*IMPORT, *EXPORT})
    bucket = workshop.make_bucket("rust", both)
    env = {**server.client_environment(), "FLOW_BUCKET": bucket, "FLOW_ROLE": workshop.make_role("rust", bucket, both)}

    def run(*arguments):
        result = subprocess.run([flow(), *arguments], env=env, capture_output=True, text=True, timeout=100)
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout

    return run


@pytest.fixture(scope="module")
def outcomes(run):
    """Of each operation that was called, what came of it."""
    lines = [line.split(" ", 1) for line in run("operations").splitlines()]
    return {rest.split(":")[0]: (word, rest) for word, rest in lines}


def test_the_whole_flow(run):
    assert run().endswith("flow complete\n")


def test_every_operation_on_data_is_called(outcomes):
    assert sorted(outcomes) == sorted(DATA_SIDE)


@pytest.mark.parametrize("operation", sorted(DATA_SIDE))
def test_it_succeeds_and_is_refused_by_its_error_type(outcomes, operation):
    word, rest = outcomes[operation]
    assert word == "ok", rest
