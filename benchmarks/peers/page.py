"""Our server with work that writes the lines of a log, for pages that show them."""

import sys
from collections.abc import AsyncIterator

from benchmarks.emission import Emission, piece
from benchmarks.peers.ours import app, tasks
from taskstream import Output
from taskstream.server import serve

LINE = "a line of a log, of the length that they have\n"


@tasks.work
async def lines(*, rate: float, events: int, delay: float = 0) -> AsyncIterator[Output]:
    """Work that writes a log, a line at a time."""
    async for number in Emission(rate, events, delay).numbers():
        yield Output(piece(number) + LINE)


if __name__ == "__main__":
    serve(app, port=int(sys.argv[1]))
