"""Our server, with work that emits what the others emit."""

import sys

from benchmarks.emission import Emission
from taskstream.tasks import Update, Updates
from taskstream.work import WORK


async def emit(*, rate: float, events: int, delay: float = 0) -> Updates:
    """Work that does nothing but say so."""
    emission = Emission(rate, events, delay)
    async for number in emission.numbers():
        yield Update(emission.percent(number), emission.message(number))


WORK["emit"] = emit

if __name__ == "__main__":
    from app import main

    sys.argv[1:] = ["--port", sys.argv[1], "--max-streams", "100000", "--max-tasks", "4000"]
    main()
