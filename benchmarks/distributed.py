"""From a worker's report to a viewer's receipt: what Celery and Redis cost. Needs redis-server.

    python -m benchmarks.distributed

Two hundred tasks of blocking work, each with a viewer, four at a time: in four threads of the server, then
in four processes of a Celery worker, seen through one server and through two.
"""

import asyncio
import statistics
import time
from contextlib import ExitStack
from datetime import datetime

import aiohttp
from rich.console import Console
from rich.table import Table

from tests.support.api import Api, events
from tests.support.backends import RedisServer, Worker
from tests.support.programs import Server

TASKS = 200
AT_A_TIME = 4
WORK = {"work": "scraping", "seconds": 0.5, "steps": 10}


async def delays_milliseconds(api: Api) -> list[float]:
    """For every report of every task: how much later its viewer had it."""
    delays: list[float] = []

    async def watch(task_id: str) -> None:
        async with api.open(f"/task-progress/{task_id}") as response:
            async for event in events(response):
                received_at = time.time()
                if event.snapshot["status"] == "PROGRESS":
                    reported_at = datetime.fromisoformat(event.snapshot["updated_at"]).timestamp()
                    delays.append(1000 * (received_at - reported_at))

    tasks = [(await api.start(**WORK))["task_id"] for _ in range(TASKS)]
    # Without the first ones, which have begun before their viewers are there.
    await asyncio.gather(*(watch(task_id) for task_id in tasks[AT_A_TIME:]))
    return sorted(delays)


async def measure(*urls: str) -> list[str]:
    """A row of the table."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        delays = await delays_milliseconds(Api(session, urls))
    percentile_99 = statistics.quantiles(delays, n=100)[-1]
    return [
        str(len(delays)),
        *(f"{delay:.2f}" for delay in (statistics.median(delays), percentile_99, delays[-1])),
    ]


def main() -> None:
    """Measure, and print a table."""
    table = Table("where the work runs", "reports", "median ms", "p99 ms", "max ms")
    with Server("--work-threads", str(AT_A_TIME)) as server:
        table.add_row(f"{AT_A_TIME} threads of the server", *asyncio.run(measure(server.url)))
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        stack.enter_context(Worker(redis.url, processes=AT_A_TIME))
        servers = [stack.enter_context(Server("--redis-url", redis.url)) for _ in range(2)]
        for count, seen in ((1, "one server"), (2, "two servers")):
            urls = [server.url for server in servers[:count]]
            table.add_row(f"{AT_A_TIME} worker processes, {seen}", *asyncio.run(measure(*urls)))
    Console().print(table)


if __name__ == "__main__":
    main()
