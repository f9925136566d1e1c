"""Ports of the loopback interface."""

import socket


def free_port() -> int:
    """A port on which nobody listens, for a program that binds with SO_REUSEADDR, as servers do.

    It stays bound, without listening, until this process ends: so the system gives it to nobody else.
    """
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after bind: shared with no other
    port: int = reserved.getsockname()[1]
    reserved.detach()  # open, but nobody's to close
    return port
