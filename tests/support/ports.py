"""Ports of this machine that nobody listens at."""

import random
import socket


# What was given out may be used later, and again after a while.
_given = set()


def free(count, also=0):
    """The first of `count` ports in a row that are free, and so are those `also` above them."""
    # Below where the system itself takes ports for connections.
    for first in random.sample(range(11_000, 31_000 - also, max(10, count)), 100):
        ports = {port for base in (first, first + also) for port in range(base, base + count)}
        if not ports & _given and all(_is_free(port) for port in ports):
            _given.update(ports)
            return first
    raise AssertionError("no ports are free")


def _is_free(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
