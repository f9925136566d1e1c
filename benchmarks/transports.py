"""Short polling, SSE and a WebSocket, side by side: what it costs to have a current picture of a task.

    python -m benchmarks.transports
    python -m benchmarks.transports --viewers 500 --seconds 30 --rate 1

Every viewer watches one of ten tasks, each of which has news at the given rate. Staleness is the time from
an event until the viewer's picture shows it, or a later one. Bytes are those of HTTP and WebSocket, in both
directions, without what TCP and IP add to each packet.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import cast

import uvloop

from benchmarks.emission import Emission
from benchmarks.load import percentiles
from benchmarks.report import machine, row
from benchmarks.servers import Figures, Peer, Server
from benchmarks.viewer import updated_at
from taskstream.server.serve import allow_many_connections

TASKS = 10
DELAY_SECONDS = 1
SERVER = Peer("transports", "websocket")
COLUMNS = {
    "requests": "requests / viewer",
    "kib": "KiB / viewer",
    "p50": "staleness p50 ms",
    "p99": "p99 ms",
    "cpu_ms": "ms server CPU / viewer",
}


@dataclass
class Account:
    """What all viewers of one run have cost, and seen."""

    rate: float
    requests: int = 0
    octets: int = 0
    staleness: list[float] = field(default_factory=list)


class Viewer(asyncio.Protocol):
    """One viewer, whatever brings its bytes."""

    transport: asyncio.Transport
    _seen = 0
    _rest = b""

    def __init__(self, account: Account) -> None:
        self._account = account

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to ask."""
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, path: str, *headers: str) -> None:
        """Send a request."""
        lines = [f"GET {path} HTTP/1.1", "Host: localhost:8000", "Accept: */*", *headers]
        request = "\r\n".join([*lines, "", ""]).encode()
        self._account.requests += 1
        self._account.octets += len(request)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Look at the latest event, and for how long it and those before it have been news."""
        now = time.time()
        self._account.octets += len(data)
        data = self._rest + data
        end = data.rfind(b"}") + 1
        self._rest = data[end:]
        at = data.rfind(b'"message":"Event ', 0, end)
        if at < 0:
            return
        number = int(data[at + 17 :].split(b" ", 1)[0])
        happened = updated_at(data[data.find(b'"updated_at"', at) :])
        for earlier in range(number - self._seen):
            age = now - (happened - earlier / self._account.rate)
            self._account.staleness.append(1000 * age)
        self._seen = max(self._seen, number)


async def poll(viewer: Viewer, task_id: str, interval: float) -> None:
    """Ask for the snapshot, again and again."""
    await asyncio.sleep(random.uniform(0, interval))
    while True:
        viewer.ask(f"/task-status/{task_id}")
        await asyncio.sleep(interval)


async def stream(viewer: Viewer, task_id: str) -> None:
    """Ask once for Server-Sent Events."""
    viewer.ask(f"/task-progress/{task_id}")


async def socket(viewer: Viewer, task_id: str) -> None:
    """Ask once for a WebSocket."""
    viewer.ask(
        f"/task-socket/{task_id}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )


TRANSPORTS: dict[str, Callable[[Viewer, str], Coroutine[None, None, None]]] = {
    "polling, every 0.5 s": partial(poll, interval=0.5),
    "polling, every 1 s": partial(poll, interval=1),
    "polling, every 2 s": partial(poll, interval=2),
    "Server-Sent Events": stream,
    "WebSocket": socket,
}


async def watch(server: Server, transport: str, viewers: int, rate: float, seconds: float) -> Figures:
    """The figures of one transport."""
    emission = Emission(rate, int(rate * seconds), DELAY_SECONDS)
    cpu = server.cpu_seconds()
    task_ids = [server.start_task(emission).rpartition("/")[2] for _ in range(TASKS)]
    account = Account(rate)
    loop = asyncio.get_running_loop()
    watching: list[asyncio.Task[None]] = []
    protocols: list[Viewer] = []
    for number in range(viewers):
        _, viewer = await loop.create_connection(lambda: Viewer(account), "127.0.0.1", server.port)
        protocols.append(viewer)
        watching.append(asyncio.create_task(TRANSPORTS[transport](viewer, task_ids[number % TASKS])))
    await asyncio.sleep(DELAY_SECONDS + seconds)
    for each in watching:
        each.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    for viewer in protocols:
        viewer.transport.abort()
    return {
        "requests": account.requests / viewers,
        "kib": account.octets / 1024 / viewers,
        "cpu_ms": 1000 * (server.cpu_seconds() - cpu) / viewers,
        **percentiles(sorted(account.staleness)),
    }


def main() -> None:
    """Run all transports in rounds, and print a table."""
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=200, help="200 unless told")
    parser.add_argument("--seconds", type=float, default=20, help="how long the tasks take (20)")
    parser.add_argument("--rate", type=float, default=2, help="events of each task per second (2)")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    allow_many_connections()
    results: dict[str, list[Figures]] = {transport: [] for transport in TRANSPORTS}
    for _ in range(options.rounds):
        for transport, rounds in results.items():
            with Server(SERVER) as server:
                run = watch(server, transport, options.viewers, options.rate, options.seconds)
                rounds.append(uvloop.run(run))
    print(f"\n{options.viewers} viewers for {options.seconds:g} s, {options.rate:g} events/s\n")
    print(row(["transport", *COLUMNS.values()]))
    print(row(["---"] * (1 + len(COLUMNS))))
    for transport, rounds in results.items():
        print(row([transport, *(f"{median(each[key] for each in rounds):,.1f}" for key in COLUMNS)]))
    print("\n{date}, {machine}, {system}, Python {python}".format(**machine()))


if __name__ == "__main__":
    main()
