"""Our server, with a blocking function that writes what the generators of the others write."""

import sys
import time

from fastapi import FastAPI

from benchmarks.emission import piece
from taskstream import TaskStream, output
from taskstream.server import serve

tasks = TaskStream(max_streams=100_000)
app = FastAPI()
app.include_router(tasks.router)


@tasks.work
def write(*, rate: float, events: int, delay: float = 0) -> None:  # noqa: ARG001 - it is as fast as it can be
    """Work in a thread, which writes a text, a piece at a time."""
    time.sleep(delay)
    for number in range(1, events + 1):
        output(piece(number))


if __name__ == "__main__":
    serve(app, port=int(sys.argv[1]))
