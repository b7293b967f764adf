"""The AWS CLI: every operation on data succeeds, and its refusal is told on standard error; one process a call."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore import xform_name

from support.clients import aws
from support.operations import CALLS, DATA_SIDE, World, check_answer, service_of

AT_ONCE = 4


@pytest.fixture(scope="module")
def ended(server, workshop):
    """Of each operation the processes, some of them still to come, of the call that succeeds and of the refused one."""
    world = World(workshop)
    env = {**server.client_environment(), "AWS_MAX_ATTEMPTS": "1"}

    def run(operation, which):
        parameters = json.dumps(CALLS[operation][which](world))
        words = [service_of(operation), xform_name(operation, "-"), "--cli-input-json", parameters]
        return aws(server, *words, "--output", "json", env=env, check=False)

    pool = ThreadPoolExecutor(AT_ONCE)
    yield {(name, which): pool.submit(run, name, which) for which in (0, 1) for name in CALLS}
    pool.shutdown(cancel_futures=True)


def test_every_operation_on_data_is_called():
    assert sorted(CALLS) == sorted(DATA_SIDE)


@pytest.mark.parametrize("operation", sorted(CALLS))
def test_it_succeeds(ended, operation):
    process = ended[operation, 0].result()
    assert process.returncode == 0, process.stderr
    check_answer(operation, json.loads(process.stdout or "{}"))


@pytest.mark.parametrize("operation", sorted(CALLS))
def test_it_is_refused(ended, operation):
    process = ended[operation, 1].result()
    assert process.returncode != 0 and process.stdout == "", process.stdout
    told = re.search(r"An error occurred \((\w+)\) when calling the (\w+) operation.*: (.+)", process.stderr)
    assert told and told.groups()[:2] == (CALLS[operation][2], operation), process.stderr
    assert told[3].strip() not in ("", "None")
