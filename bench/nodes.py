"""What more nodes and more executors give, on this machine's cores: `cargo xtask bench-nodes`.

Puts go to 1, 2 and 3 nodes at once by `lade bench put`; exports run on the nodes alone and on 1, 2 and 3 executors. All parts
share the cores that are told, so the figures are ratios. Requests to stores are counted by a proxy, in a run of their own.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from support.chaos import Chaos
from support.nodes import BUCKET, Cluster
from support.schemas import EVENTS, INTERACTIONS
from support.server import REGION, ROOT_KEY, ROOT_SECRET, bare_environment, binary, has_cluster

# Each waits for its answer, which comes with the next segment: so many keep the cores busy.
CLIENTS = 960
QUIET_S = 60


def arguments():
    parser = argparse.ArgumentParser(prog="cargo xtask bench-nodes", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20, help="of putting, for each number of nodes (default 20)")
    parser.add_argument("--rows", type=int, default=5_000_000, help="of the exported dataset (default 5,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default 3)")
    return parser.parse_args()


class House:
    """A folder for clusters that are measured one after the other."""

    def __init__(self, folder):
        self.folder, self.number = folder, 0

    def run(self, measure, nodes=1, executors=0, settings=None, prepare=lambda cluster: {}):
        self.number += 1
        cluster = Cluster(self.folder / str(self.number), nodes, executors, env=settings)
        cluster.more |= prepare(cluster)
        try:
            return measure(cluster.start())
        finally:
            cluster.close()
            shutil.rmtree(cluster.folder, ignore_errors=True)


def put(cluster, seconds):
    """`lade bench put` against each node at once; the sum of what they acknowledged in a second, and the worst p99."""
    group = cluster.workshop().make_group(interactions=EVENTS, tracker=True)
    clients = str(max(1, CLIENTS // len(cluster.nodes)))
    running = []
    for node in cluster.nodes:
        env = {**bare_environment(), "AWS_ENDPOINT_URL": node.endpoint, "AWS_ACCESS_KEY_ID": ROOT_KEY,
               "AWS_SECRET_ACCESS_KEY": ROOT_SECRET, "AWS_DEFAULT_REGION": REGION}
        running.append(subprocess.Popen(
            [binary(), "bench", "put", "--tracking-id", group.tracking_id, "--seconds", str(seconds), "--clients", clients,
             "--json"], env=env, stdout=subprocess.PIPE, text=True))
    found = [json.loads(each.communicate()[0].splitlines()[-1]) for each in running]
    return sum(one["events_per_second"] for one in found), max(one["p99_ms"] for one in found)


def csv(rows):
    """About 34 bytes a row, a few of them twice."""
    lines = (f"user{n * 7919 % (rows // 10 + 1)},item{n % 5000},view,{n // 50}\n" for n in range(rows))
    return ("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(lines)).encode()


def timed(wait, start):
    begun = time.monotonic()
    job = wait(start(), 3600)
    assert job["status"] == "ACTIVE", job
    return time.monotonic() - begun


def jobs(cluster, body, rounds):
    """Seconds of a FULL import, and the median of BULK exports."""
    shop = cluster.workshop()
    dataset = shop.make_group(interactions=INTERACTIONS).interactions
    shop.s3.put_object(Bucket=BUCKET, Key="in/bench.csv", Body=body)
    imported = timed(shop.wait_import, lambda: shop.start_import(dataset, f"s3://{BUCKET}/in/bench.csv"))
    exported = sorted(timed(shop.wait_export, lambda: shop.start_export(dataset, "BULK")) for _ in range(rounds))
    return imported, exported[rounds // 2]


def counted(house, seconds, body):
    """Requests to the own and to the customers' bucket: at rest, while events are put, for an import, for an export."""
    proxies = {}

    def prepare(cluster):
        cluster.store.start()
        proxies.update({name: Chaos(cluster.store.endpoint).__enter__() for name in ("own", "customers'")})
        cluster.store.stop()
        return {"LADE_OBJECTS_ENDPOINT": proxies["own"].endpoint, "LADE_S3_ENDPOINT": proxies["customers'"].endpoint}

    def taken():
        found = {name: Counter(one.step for one in proxy.log) for name, proxy in proxies.items()}
        for proxy in proxies.values():
            proxy.log.clear()
        return {name: dict(steps) for name, steps in found.items() if steps}

    def measure(cluster):
        shop = cluster.workshop()
        time.sleep(5)
        taken()
        time.sleep(QUIET_S)
        yield f"at rest for {QUIET_S} s", taken()
        rate, _ = put(cluster, seconds)
        yield f"{rate * seconds:,.0f} events put in {seconds} s to {len(cluster.nodes)} node", taken()
        dataset = shop.make_group(interactions=INTERACTIONS).interactions
        shop.s3.put_object(Bucket=BUCKET, Key="in/bench.csv", Body=body)
        time.sleep(5)
        taken()
        timed(shop.wait_import, lambda: shop.start_import(dataset, f"s3://{BUCKET}/in/bench.csv"))
        yield f"a FULL import of {len(body) / 1e6:,.0f} MB", taken()
        timed(shop.wait_export, lambda: shop.start_export(dataset, "BULK"))
        yield "its export", taken()
        timed(shop.wait_export, lambda: shop.start_export(dataset, "BULK"))
        yield "its export once more", taken()

    try:
        return house.run(lambda cluster: list(measure(cluster)), prepare=prepare)
    finally:
        for proxy in proxies.values():
            proxy.__exit__()


def main():
    given = arguments()
    house, body = House(Path(tempfile.mkdtemp(prefix="lade-bench-nodes-"))), csv(given.rows)
    print(f"{os.cpu_count()} cores for all parts, the load included; {given.rows:,} rows, {len(body) / 1e6:,.0f} MB")
    first = None
    for count in (1, 2, 3):
        rate, p99_ms = house.run(lambda cluster: put(cluster, given.seconds), nodes=count)
        first = first or rate
        print(f"puts, {count} nodes: {rate:,.0f} events/s, {rate / first:.2f} of one node's; p99 {p99_ms:.0f} ms", flush=True)
    imported, alone = house.run(lambda cluster: jobs(cluster, body, given.rounds))
    print(f"on one node alone: import {imported:.1f} s, export {alone:.1f} s", flush=True)
    for count in (1, 2, 3) if has_cluster() else ():
        imported_there, exported = house.run(lambda cluster: jobs(cluster, body, given.rounds), executors=count)
        print(f"{count} executors: import {imported_there:.1f} s, {imported / imported_there:.2f} times as fast as the node; "
              f"export {exported:.1f} s, {alone / exported:.2f} times as fast", flush=True)
    for what, found in counted(house, given.seconds, body):
        print(f"requests, {what}: {found or 'none'}", flush=True)
    shutil.rmtree(house.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
