"""What an application finds out about the server that runs it: that it stops, that it has many processes.

ASGI says that a server stops only when all responses have ended, and streams end only when they know.
uvicorn has no hook for it, and sse-starlette one flag for the whole process, which would end a later
server's streams too. So while somebody wants to know, `uvicorn.Server.shutdown` is wrapped: every stop
begins there, whether it was asked for by a signal, by `should_exit`, or by the limit of requests that a
process takes.
"""

import asyncio
import functools
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from uvicorn import Server

SERVERS = re.compile("uvicorn|gunicorn|hypercorn|granian|fastapi")

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class ServerStop:
    """What to call when a server begins to stop and when it has, and how that server is known."""

    callback: Callable[[bool], object]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    key: str = ""

    def state(self) -> dict[str, bool]:
        """What a lifespan yields so that its server is known; else it is any one on this event loop."""
        self.key = self.key or f"taskstream-{uuid4().hex}"
        return {self.key: True}

    def is_of(self, server: "Server") -> bool:
        """Whether this server, which runs on the current event loop, is the one."""
        if self.key:
            return self.key in getattr(server.lifespan, "state", ())  # which `lifespan="off"` has not
        return self.loop is asyncio.get_running_loop()


stops: list[ServerStop] = []
wrapping = ExitStack()
lock = Lock()  # servers may run in several threads


@contextmanager
def on_server_stop(callback: Callable[[bool], object]) -> Iterator[ServerStop]:
    """Call back, with `True` when a server of this application begins to stop, `False` when it has."""
    stop = ServerStop(callback)
    with lock:
        if not stops:
            wrap_shutdown()
        stops.append(stop)
    try:
        yield stop
    finally:
        with lock:
            stops.remove(stop)
            if not stops:
                wrapping.close()


def wrap_shutdown() -> None:
    """Have uvicorn's servers call back; under any other server there is nothing to wrap."""
    try:
        from uvicorn import Server
    except ImportError:
        return
    original = Server.shutdown

    @functools.wraps(original)
    async def shutdown(server: Server, sockets: list[socket.socket] | None = None) -> None:
        told = [stop for stop in stops if stop.is_of(server)]
        for stop in told:
            stop.callback(True)
        try:
            await original(server, sockets)
        finally:
            for stop in told:
                stop.callback(False)

    Server.shutdown = shutdown  # type: ignore[method-assign, assignment]
    wrapping.callback(setattr, Server, "shutdown", original)


def warn_of_many() -> None:
    """Log that there are several processes, if the command line or the environment of a server says so."""
    program, *arguments = sys.argv or [""]
    if not (named := SERVERS.findall(program)):
        return
    if named[-1] not in ("hypercorn", "granian"):  # which don't read these
        arguments.insert(0, os.environ.get("GUNICORN_CMD_ARGS", ""))  # the command line goes before it
        arguments.insert(0, f"--workers={os.environ.get('WEB_CONCURRENCY', '')}")
    counts = re.findall(r"(?:^|\s)(?:--workers|-w)[= ]?([0-9]+)(?!\S)", " ".join(arguments))
    count = int([1, *counts][-1])
    if count > 1:
        logger.warning(
            "There are %d processes of this application, and each has tasks of its own, which the others "
            "don't find. Start one process, or give all of them the same redis_url.",
            count,
        )
