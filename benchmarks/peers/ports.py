"""Ports of the loopback interface."""

import random
import socket

PORTS = range(10_000, 30_000)
"""Below those that systems give to connections and to servers that ask for any port."""


def free_port() -> int:
    """A port on which nobody listens."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
