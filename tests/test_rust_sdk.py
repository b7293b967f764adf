"""The AWS SDK for Rust against the server: the whole flow runs in a program of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from support.policies import EXPORT, IMPORT
from support.server import binary


def flow():
    """Where the compiled program is."""
    return Path(os.environ.get("LADE_RUST_SDK_FLOW") or Path(binary()).parent / "examples" / "rust_sdk_flow")


def test_the_whole_flow(server, workshop):
    if not flow().exists():
        pytest.skip("the example rust_sdk_flow is not built: cargo build --release --examples")
    both = sorted({*IMPORT, *EXPORT})
    bucket = workshop.make_bucket("rust", both)
    env = {**server.client_environment(), "FLOW_BUCKET": bucket, "FLOW_ROLE": workshop.make_role("rust", bucket, both)}
    result = subprocess.run([flow()], env=env, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert result.stdout.endswith("flow complete\n")
