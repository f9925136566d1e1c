"""How `python app.py` is served, and how it stops: within 3 s, whatever is open or blocked."""

import asyncio
import gc
import os
import re
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from taskstream.server.connection import AccessLines, Connection

GRACE_SECONDS = 2.0
"""How long a stopping server lets connections end by themselves."""
END_SECONDS = 2.7
"""From the signal until the process is ended: less than the 3 s that are promised."""
BACKLOG = 4096
"""Connections that may wait until they are accepted; one that is dropped tries again after a second."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep Python's lock to itself while the event loop waits for it, instead of 5 ms."""

LOOPBACK = r"(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[?::1\]?)"
"""Names and addresses that lead to the machine itself, wherever one looks them up (RFC 6761, 6.3)."""


class Server(uvicorn.Server):
    """uvicorn, but a connection that does not end by itself is cut when the server stops."""

    ending: threading.Timer | None = None
    """What ends the process if nothing else does."""
    has_returned = False

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._process_id = os.getpid()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let the open requests end, cut those that don't."""
        cut = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._cut_connections)
        await super().shutdown(sockets)
        cut.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at the second signal, at once. uvicorn would leave the streams open and the tasks alone."""
        if os.getpid() != self._process_id:  # a process that some work has forked, with our handlers
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        elif self.ending:
            asyncio.get_running_loop().call_soon_threadsafe(self._cut_connections)
        else:
            self.ending = threading.Timer(END_SECONDS, self._end, [sig])  # first: the second signal
            self.ending.daemon = True  # may come while this one is handled
            super().handle_exit(sig, frame)
            self.ending.start()

    def _end(self, sig: int) -> None:
        if not self.has_returned or is_exiting():  # else its caller lives on
            end_process(sig)

    def _cut_connections(self) -> None:
        # A viewer that never reads, or half a request: uvicorn would wait for them, or cancel their
        # handlers with a traceback each. A connection that is lost ends its handler without a word.
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def serve(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8000,
    allowed_hosts: Iterable[str] = (),
    *,
    access_log: bool = True,
) -> None:
    """Serve an application until SIGTERM or Ctrl-C; gone within 3 s, whatever is open or blocked.

    On a loopback address it answers under loopback names, its `host` and `allowed_hosts` only, so that no
    page can have its own name lead here (DNS rebinding); "*" allows any. Elsewhere that is the default.
    `access_log` prints a line for each request.

    If it hasn't come to its end 2.7 s after the signal, the process is ended around it; likewise if Python,
    which exits then, waits for threads or processes.
    """
    allow_many_connections()
    collect_garbage_rarely()

    class Served(Connection):
        hosts = host_pattern(host, list(allowed_hosts))
        access_lines = AccessLines("access") if access_log else None

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Served,
        ws="none",
        access_log=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=3,
    )
    server, interval = Server(config), sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)  # of the process: only a program of its own may choose that
    try:
        with suppress(KeyboardInterrupt):  # Ctrl-C, which uvicorn raises again after a clean end
            server.run()
    finally:
        sys.setswitchinterval(interval)
        server.has_returned = True


def host_pattern(host: str, allowed_hosts: list[str]) -> re.Pattern[bytes] | None:
    """The values of Host under which a server answers, with any port; `None` if that is all of them."""
    if "*" in allowed_hosts or not (allowed_hosts or re.fullmatch(LOOPBACK, host.lower())):
        return None
    bare = [name.strip("[]") for name in [host, *allowed_hosts]]
    names = "|".join(re.escape(f"[{name}]" if ":" in name else name) for name in bare)
    return re.compile(rf"(?:{LOOPBACK}|{names})\.?(?::\d*)?".encode(), re.IGNORECASE)


def is_exiting() -> bool:
    """Whether the program is over, and Python waits for its threads or processes before it exits."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame and frame.f_back:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") in ("threading", "multiprocessing.util")


def end_process(signal_number: int) -> None:
    """End the process, as a shell would say that the signal did.

    What holds it up can't be interrupted from inside: a thread of the default executor in the middle of
    something long, a coroutine that swallows its cancellation, a call that blocks the loop.
    """
    try:
        if select.select([], [2], [], 0)[1]:  # else nobody reads stderr, and writing would block
            os.write(2, b"Some work did not stop: ended it with the server.\n")
    finally:
        os._exit(128 + signal_number)


def allow_many_connections() -> None:
    """Lift the limit of open files, often 1 024, to what the system allows: each stream is one."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, 10_240):  # macOS, where `hard` may be unlimited, takes no more than OPEN_MAX
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return


def collect_garbage_rarely() -> None:
    """Look for garbage after so many new objects as a hundred requests are made of, not after 700.

    Each full collection walks through the objects of all open streams. With 10 000 of them, opening one
    took 0.39 ms of CPU, and takes 0.33 ms now. Closed ones leave no garbage, so nothing piles up.
    """
    gc.collect()
    gc.freeze()  # what has been imported stays
    gc.set_threshold(50_000, 20, 50)
