"""The server that is soaked: `app.py` with three works more, in each way in which it can stream.

python -m benchmarks.soak.server --way attached --loop uvloop
"""

import argparse
import asyncio
import ctypes
import gc
import linecache
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from taskstream import Result, Update, WorkError, track
from tests.support.programs import Server

WAYS = {
    "attached": "by the connections of taskstream.server",
    "sse-starlette": "by sse-starlette, under uvicorn's own server",
}
"""How streams are sent."""
LOOPS = ("uvloop", "asyncio")
ALLOCATORS = {
    "malloc": "the system's, which gives back each page that is free, so that memory can be compared",
    "pymalloc": "Python's own, which counts its blocks, but keeps 1 MiB while one of them in it is used",
}
"""Values of PYTHONMALLOC."""
HELD_KIB = 1024


async def ticks(*, steps: int, pause: float, kib: int, fail: bool) -> AsyncIterator[Update]:
    """Work that takes its steps, and carries some weight."""
    for step in range(1, steps + 1):
        await asyncio.sleep(pause)
        yield Update(100 * step / steps, f"Step {step}", {"step": step, "weight": "x" * 1024 * kib})
    if fail:
        raise WorkError("Failed on purpose")


def hold(*, steps: int, pause: float, fail: bool) -> int:
    """Blocking work with a file that is open, and much in memory, as long as its variables live."""
    file, weight = Path(os.devnull).open(), bytearray(HELD_KIB * 1024)  # noqa: SIM115
    for _ in track(range(steps)):
        time.sleep(pause)
    if fail:
        raise WorkError(f"Failed on purpose, with {file.name} open")
    return len(weight)


async def census(*, collect: bool) -> AsyncIterator[Result]:
    """What only the server itself can count; unless it may `collect`, what is left in cycles too."""
    linecache.clearcache()  # the source lines in the tracebacks of tasks that have failed
    if collect:
        gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc keeps what was freed
        trim(0)
    yield Result(
        {
            "asyncio_tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "memory_blocks": sys.getallocatedblocks(),  # 0 with malloc
        }
    )


class SoakServer(Server):
    """One that is ready to answer."""

    program = ("-m", "benchmarks.soak.server")

    def __init__(self, *flags: str, allocator: str) -> None:
        self.allocator = allocator
        self.collects = "sse-starlette" in flags  # which leaves its own streams in cycles, with anyio
        super().__init__(*flags, PYTHONMALLOC=allocator)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--retention-seconds", type=float)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--loop", choices=LOOPS)
    arguments = parser.parse_args()
    if arguments.loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment] # as where it can't be installed

    import uvicorn  # here, because it looks for uvloop

    import app
    from taskstream.server import serve
    from taskstream.server.serve import allow_many_connections

    app.tasks.work(ticks)
    app.tasks.work(hold)
    app.tasks.work(census)
    app.tasks.configure(retention_seconds=arguments.retention_seconds)
    if arguments.way == "attached":
        serve(app.app, port=arguments.port)
    else:
        allow_many_connections()
        uvicorn.run(app.app, port=arguments.port)


if __name__ == "__main__":
    main()
