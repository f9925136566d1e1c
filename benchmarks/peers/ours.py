"""Our server, with work that emits what the others emit."""

import sys
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI

from benchmarks.emission import Emission, piece
from taskstream import Output, TaskStream, Update
from taskstream.server import serve

tasks = TaskStream(max_streams=100_000, max_tasks=4000)
app = FastAPI()
app.include_router(tasks.router)


@tasks.work
async def emit(*, rate: float, events: int, delay: float = 0) -> AsyncIterator[Update]:
    """Work that does nothing but say so."""
    emission = Emission(rate, events, delay)
    async for number in emission.numbers():
        yield Update(emission.percent(number), emission.message(number))


@tasks.work
async def write(*, rate: float, events: int, delay: float = 0) -> AsyncIterator[Output]:
    """Work that writes a text, a piece at a time."""
    async for number in Emission(rate, events, delay).numbers():
        yield Output(piece(number))


@tasks.work
def compute(*, rate: float, events: int, delay: float = 0) -> None:  # noqa: ARG001 - as the others have
    """Work that keeps a thread busy for so many seconds."""
    if "--switch-5ms" in sys.argv:
        sys.setswitchinterval(0.005)  # Python's own, instead of that of `serve`
    until = time.monotonic() + events
    while time.monotonic() < until:
        sum(range(10_000))


if __name__ == "__main__":
    serve(app, port=int(sys.argv[1]), access_log="--no-access-log" not in sys.argv)
