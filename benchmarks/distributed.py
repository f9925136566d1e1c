"""From a worker's report to its viewers: what Celery and Redis cost, one event at a time.

    python -m benchmarks.distributed                    (three minutes; needs redis-server)

Tasks run in four processes of a Celery worker, and each has so many viewers: of this project, seen through
one server and through two; and of what tutorials make of Celery and pub/sub, which keeps nothing. All of it
is measured in one run, so compare the ratios.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.servers import cpu_seconds
from tests.support.api import Api, events
from tests.support.backends import RedisServer, Worker
from tests.support.programs import Program, Server

TASKS = 4
VIEWERS = (1, 10)
ROUNDS = 3
WARM_UP_SECONDS = 2
SECONDS = 5
WORK = {"work": "scraping", "seconds": 8, "steps": 800}

Figures = dict[str, float]


class Naive(Program):
    """The server of what tutorials make of it, once it can be asked."""

    def __init__(self, redis_url: str) -> None:
        flags = ("--port", "0", "--log-level", "info", "--no-access-log")
        super().__init__("-m", "uvicorn", "benchmarks.peers.celery_pubsub:app", *flags, REDIS_URL=redis_url)
        self.url = self.wait_for(r"running on (http://\S+)")[1]


@dataclass
class Cluster:
    """Some servers, and the processes whose time counts, by what they are."""

    urls: list[str]
    processes: dict[str, Sequence[Program]]

    def cpu(self) -> Figures:
        """The seconds that they have taken so far."""
        return {name: sum(map(cpu_of, programs)) for name, programs in self.processes.items()}


def cpu_of(program: Program) -> float:
    """The seconds that a program and its children have taken so far."""
    process = psutil.Process(program.process.pid)
    return sum(map(cpu_seconds, [process, *process.children(recursive=True)]))


@contextmanager
def ours(servers: int) -> Iterator[Cluster]:
    """What this project has."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        worker = stack.enter_context(Worker(redis.url, TASKS))
        several = [stack.enter_context(Server("--redis-url", redis.url)) for _ in range(servers)]
        urls = [server.url for server in several]
        yield Cluster(urls, {"worker": [worker], "server": several, "Redis": [redis]})


@contextmanager
def naive() -> Iterator[Cluster]:
    """What tutorials make of it."""
    module = "benchmarks.peers.celery_pubsub:celery"
    with (
        RedisServer() as redis,
        Worker(redis.url, TASKS, module, REDIS_URL=redis.url) as worker,
        Naive(redis.url) as server,
    ):
        yield Cluster([server.url], {"worker": [worker], "server": [server], "Redis": [redis]})


CONTESTANTS: dict[str, Callable[[], AbstractContextManager[Cluster]]] = {
    "one server": partial(ours, 1),
    "two servers": partial(ours, 2),
    "naive": naive,
}


async def run(cluster: Cluster, viewers: int) -> Figures:
    """Microseconds of CPU for each event, and milliseconds until a viewer has it."""
    delays: list[float] = []

    async def watch(api: Api, task_id: str) -> None:
        async with api.open(f"/task-progress/{task_id}") as response:
            async for event in events(response):
                received_at = time.time()
                if event.snapshot["status"] == "PROGRESS":
                    reported_at = datetime.fromisoformat(event.snapshot["updated_at"]).timestamp()
                    delays.append(1000 * (received_at - reported_at))

    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        api = Api(session, cluster.urls)
        tasks = [(await api.start(**WORK))["task_id"] for _ in range(TASKS)]
        watching = [asyncio.create_task(watch(api, task_id)) for task_id in tasks for _ in range(viewers)]
        await asyncio.sleep(WARM_UP_SECONDS)  # until all are there, and know their way
        delays.clear()
        before = cluster.cpu()
        await asyncio.sleep(SECONDS)
        after, received = cluster.cpu(), sorted(delays)
        await asyncio.gather(*watching)
    published = len(received) / viewers
    figures = {name: 1e6 * (after[name] - before[name]) / published for name in before}
    percentiles = statistics.quantiles(received, n=100)
    return {**figures, "median": percentiles[49], "p99": percentiles[-1]}


def main() -> None:
    """Measure in rounds, and print the medians."""
    table = Table("viewers", "", "worker µs", "server µs", "Redis µs", "median ms", "p99 ms")
    for viewers in VIEWERS:
        rounds: dict[str, list[Figures]] = {name: [] for name in CONTESTANTS}
        for _ in range(ROUNDS):
            for name, contestant in CONTESTANTS.items():
                with contestant() as cluster:
                    rounds[name].append(asyncio.run(run(cluster, viewers)))
        medians = {
            name: {key: statistics.median(each[key] for each in figures) for key in figures[0]}
            for name, figures in rounds.items()
        }
        for name, figures in medians.items():
            cells = (f"{each:.1f} ({each / medians['naive'][key]:.2f} ×)" for key, each in figures.items())
            table.add_row(str(viewers), name, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
