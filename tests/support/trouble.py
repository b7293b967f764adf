"""What befalls a cluster: two hands that take faults from two decks, one for machines and one for what all of them share."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

# Longer than a node may be silent before the others take over what it held.
TAKEN_OVER_S = 11
BACK_S = 90


class Trouble:
    """Every fault of both decks once, in any order; then, where it `goes_on`, any of them until the drill has its jobs."""

    def __init__(self, seed, machines, services, goes_on=True):
        self.goes_on = goes_on
        self.chance = random.Random(seed)
        self.decks = {"machines": list(machines), "services": list(services)}
        self.open = Counter({name: len(deck) for name, deck in self.decks.items()})
        self.counts, self.lock = Counter(), threading.Lock()

    @property
    def is_done(self):
        return not any(self.open.values())

    @property
    def count(self):
        return sum(self.counts.values())

    def run(self, drill):
        with ThreadPoolExecutor(len(self.decks)) as hands:
            for each in [hands.submit(self.deal, name, self.chance.randrange(1 << 32), drill) for name in self.decks]:
                each.result()

    def deal(self, name, seed, drill):
        chance, deck = random.Random(seed), self.decks[name]
        first = chance.sample(deck, len(deck))
        while deck and (first or self.goes_on) and not drill.is_enough:
            time.sleep(chance.uniform(0.3, 2))
            fault = first.pop() if first else chance.choice(deck)
            fault(drill.cluster, chance)
            with self.lock:
                self.counts[fault.__name__.replace("_", " ")] += 1
                self.open[name] = len(first)

    def make_good(self, cluster):
        """All parts run again."""
        if cluster.postgres:
            bring_back(cluster.postgres)
        bring_back(cluster.store)
        for part in cluster.parts:
            bring_back(part)


def bring_back(part):
    """Continues it where it stands still, and starts it where it ended, as whoever supervises it would."""
    if part.process.poll() is None:
        part.resume()
        return
    deadline = time.monotonic() + BACK_S
    while True:
        try:
            return part.start()
        except AssertionError:
            # What it needs may be away just now.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def kill_node(cluster, chance):
    die(chance.choice(cluster.nodes), chance)


def kill_executor(cluster, chance):
    die(chance.choice(cluster.executors), chance)


def kill_scheduler(cluster, chance):
    die(cluster.scheduler, chance)


def die(part, chance):
    part.kill()
    time.sleep(chance.choice((0, 1, 3)))
    bring_back(part)


def end_node(cluster, chance):
    """An update: it ends in good order and another one takes its place."""
    node = chance.choice(cluster.nodes)
    node.stop()
    bring_back(node)


def stop_node(cluster, chance):
    stand_still(chance.choice(cluster.nodes), chance.uniform(TAKEN_OVER_S, 15))


def stop_node_shortly(cluster, chance):
    stand_still(chance.choice(cluster.nodes), chance.uniform(1, 9))


def stop_executor(cluster, chance):
    stand_still(chance.choice(cluster.executors), chance.uniform(5, 15))


def stand_still(part, seconds):
    part.pause()
    time.sleep(seconds)
    part.resume()


def restart_postgres(cluster, chance):
    cluster.postgres.stop()
    time.sleep(chance.choice((0, 1, 4)))
    cluster.postgres.start()


def kill_postgres(cluster, chance):
    cluster.postgres.kill()
    time.sleep(chance.choice((0, 1, 4)))
    cluster.postgres.start()


def stop_postgres_shortly(cluster, chance):
    stand_still(cluster.postgres, chance.uniform(1, 6))


def drop_connections(cluster, chance):
    cluster.postgres.drop_connections(cluster.catalog)


def restart_store(cluster, chance):
    cluster.store.restart()


def kill_store(cluster, chance):
    cluster.store.stop()
    time.sleep(chance.choice((0, 1, 4)))
    cluster.store.start()


def stop_store_shortly(cluster, chance):
    stand_still(cluster.store, chance.uniform(1, 6))


# A sample that takes half a minute, and all.
FEW = [kill_node, stop_node], [kill_postgres, drop_connections, restart_store]
MANY = ([kill_node, end_node, stop_node, stop_node_shortly],
        [restart_postgres, kill_postgres, stop_postgres_shortly, drop_connections, restart_store, kill_store,
         stop_store_shortly])
OF_EXECUTORS = [kill_executor, stop_executor, kill_scheduler]
# Where there is one node with files, and nothing that several could share.
OF_ONE = [kill_node, end_node, stop_node_shortly], [restart_store, kill_store, stop_store_shortly]
