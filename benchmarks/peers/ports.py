"""Ports of the loopback interface."""

import socket

_reserved: list[socket.socket] = []
"""Bound, without listening, until this process ends: so the system gives their ports to nobody else."""


def free_port() -> int:
    """A port on which nobody listens, for a program that binds with SO_REUSEADDR, as servers do."""
    reserved = socket.socket()
    _reserved.append(reserved)
    reserved.bind(("127.0.0.1", 0))
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after bind: shared with no other
    port: int = reserved.getsockname()[1]
    return port
