"""Thousands of viewers that come, go, stall, are cut and resume, while tasks run, fail and are cancelled.

    python -m benchmarks.soak --viewers 2000 --seconds 180

Every viewer's list has to be whole, and the server has to end with what it began with. On loopback only.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from taskstream import Result, Update, WorkError
from taskstream.client.event_source import NETWORK_ERRORS, EventSource, EventSourceError
from taskstream.client.protocol import ENDED, Snapshot
from taskstream.server.serve import allow_many_connections
from tests.support.programs import Server

TASKS = 20
"""Tasks at a time."""
ABSENCE_SECONDS = 1
"""The longest that a viewer stays away, or reads nothing."""
SETTLE_SECONDS = 10
SPARE_KIB = 32 * 1024
"""Memory that an allocator may keep for later."""


async def ticks(*, steps: int, pause: float, kib: int, fail: bool) -> AsyncIterator[Update]:
    """Work that takes its steps, and carries some weight."""
    for step in range(1, steps + 1):
        await asyncio.sleep(pause)
        yield Update(100 * step / steps, f"Step {step}", {"step": step, "weight": "x" * 1024 * kib})
    if fail:
        raise WorkError("Failed on purpose")


async def census() -> AsyncIterator[Result]:
    """What only the server itself can count."""
    gc.collect()
    yield Result({"asyncio tasks": len(asyncio.all_tasks()), "threads": threading.active_count()})


class SoakServer(Server):
    """The server with these two works."""

    program = ("-m", "benchmarks.soak", "serve")


@dataclass
class Soak:
    """The viewers and what they have seen."""

    session: aiohttp.ClientSession
    url: str
    draw: random.Random
    viewers: int
    tasks: dict[str, dict[int, str]] = field(default_factory=dict)
    """The tasks that can be watched, and what has been seen of them."""
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def post(self, path: str, **body: object) -> Snapshot:
        """The snapshot in the answer to a POST."""
        async with self.session.post(f"{self.url}{path}", json=body) as response:
            snapshot: Snapshot = await response.json()
            return snapshot

    async def load(self, seconds: float) -> None:
        """Tasks and viewers for so long; then until the last of them has come to its end."""
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(self.run_tasks(until))
            for _ in range(self.viewers):
                group.create_task(self.watch_tasks(until))

    async def run_tasks(self, until: float) -> None:
        """One task after another: long and short, light and heavy, with any end."""
        while time.monotonic() < until:
            seconds = self.draw.uniform(1, 4)
            if self.draw.random() < 0.1:
                first = await self.post("/start-task", work="scraping", seconds=seconds, steps=5)
            else:
                steps = self.draw.randint(5, 20)
                first = await self.post(
                    "/start-task",
                    work="ticks",
                    steps=steps,
                    pause=seconds / steps,
                    kib=self.draw.choice([0] * 19 + [32]),
                    fail=self.draw.random() < 0.2,
                )
            task_id = first["task_id"]
            self.tasks[task_id] = {}
            self.counts["tasks"] += 1
            cancelled = self.draw.random() < 0.2
            await asyncio.sleep(seconds * self.draw.random() if cancelled else seconds)
            if cancelled:
                await self.post(f"/cancel-task/{task_id}")
            await asyncio.sleep(ABSENCE_SECONDS)  # for those who come when all is over
            del self.tasks[task_id]

    async def watch_tasks(self, until: float) -> None:
        """One viewer after another."""
        await asyncio.sleep(self.draw.uniform(0, 2))
        while time.monotonic() < until:
            if self.tasks:
                task_id = self.draw.choice(list(self.tasks))
                await self.watch(task_id, self.tasks[task_id])
            await asyncio.sleep(self.draw.uniform(0, ABSENCE_SECONDS))

    async def watch(self, task_id: str, known: dict[int, str]) -> None:
        """One viewer from its coming to its going, over as many connections as it likes."""
        self.counts["viewers"] += 1
        source = EventSource(self.session, f"{self.url}/task-progress/{task_id}", read_timeout=45)
        leaves = self.draw.random() < 0.2
        seen: list[int] = []
        while True:
            self.counts["connections"] += 1
            try:
                async with source.connect(30) as events:
                    async for event in events:
                        seen.append(int(event.last_event_id))
                        self.compare(task_id, known, int(event.last_event_id), event.data)
                        if json.loads(event.data)["status"] in ENDED:
                            return self.check(task_id, seen)
                        chance = self.draw.random()
                        if chance < 0.05:
                            break
                        if chance < 0.1:
                            self.counts["stalls"] += 1
                            await asyncio.sleep(self.draw.uniform(0, ABSENCE_SECONDS))
            except EventSourceError as error:
                self.counts[f"too late ({error.status})"] += 1
                return self.check(task_id, seen)
            except NETWORK_ERRORS as error:
                self.counts[f"errors: {error!r}"[:60]] += 1
            self.counts["cuts"] += 1
            if leaves:
                return self.check(task_id, seen)
            await asyncio.sleep(self.draw.uniform(0, ABSENCE_SECONDS))

    def compare(self, task_id: str, known: dict[int, str], number: int, data: str) -> None:
        """An event is the same for everybody."""
        self.counts["events"] += 1
        if known.setdefault(number, data) != data:
            self.wrong.append(f"event {number} of {task_id} is not the same for all")

    def check(self, task_id: str, seen: list[int]) -> None:
        """A viewer's list has no gap and nothing twice."""
        lost, doubled = set(range(1, max(seen, default=0) + 1)) - set(seen), len(seen) - len(set(seen))
        self.counts.update(lost=len(lost), doubled=doubled)
        if seen != list(range(1, len(seen) + 1)):
            self.wrong.append(f"a viewer of {task_id} has seen {seen}")

    async def take_census(self, server: Server, expected: dict[str, int] | None = None) -> dict[str, int]:
        """What the server has when nobody wants anything of it; taken again until it is as expected."""
        async with asyncio.timeout(60):
            while not await self.is_idle():
                pass
        patience = time.monotonic() + SETTLE_SECONDS
        while True:
            await asyncio.sleep(1)
            task_id = (await self.post("/start-task", work="census"))["task_id"]
            async with EventSource(self.session, f"{self.url}/task-progress/{task_id}").connect() as events:
                counted: dict[str, int] = [json.loads(event.data)["data"] async for event in events][-1]
            counted.update(descriptors=server.descriptors(), memory_kib=server.memory())
            if not expected or time.monotonic() > patience or not excess(expected, counted):
                return counted

    async def is_idle(self) -> bool:
        """Whether the server knows no task, and has no stream; after a moment."""
        await asyncio.sleep(0.2)
        async with self.session.get(f"{self.url}/health") as response:
            health = await response.json()
        return (health["tasks"], health["streams"]) == (0, 0)


def excess(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """What there is more of than before."""
    return [
        f"{name}: {before[name]} before, {after[name]} after"
        for name in before
        if after[name] > before[name] + (SPARE_KIB if name == "memory_kib" else 0)
    ]


async def soak(server: Server, viewers: int, seconds: float, seed: int) -> list[str]:
    """Warm up, take stock, load, take stock again; print it all. What went wrong, if anything did."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(30)) as session:
        run = Soak(session, server.url, random.Random(seed), viewers)
        await run.load(seconds / 5)
        before = await run.take_census(server)
        run.counts = Counter(
            viewers=0, connections=0, cuts=0, stalls=0, tasks=0, events=0, lost=0, doubled=0
        )
        await run.load(seconds)
        after = await run.take_census(server, before)
    print(f"{viewers} viewers at a time for {seconds:g} s, seed {seed}\n")
    for name, count in run.counts.items():
        print(f"{name:24} {count:>12,}")
    print(f"\n{'':24} {'before':>12} {'after':>12}")
    for name in before:
        print(f"{name:24} {before[name]:>12,} {after[name]:>12,}")
    crashes = ["an exception in the server"] if "ASGI" in server.output else []
    return run.wrong + excess(before, after) + crashes


def main() -> None:
    """Soak a server; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=2000, help="viewers at a time (default: 2000)")
    parser.add_argument("--seconds", type=float, default=180, help="how long they come (default: 180)")
    parser.add_argument(
        "--retention-seconds", type=float, default=15, help="how late they may come (default: 15)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (default: 1)")
    arguments = parser.parse_args()
    allow_many_connections()
    with SoakServer("--retention-seconds", str(arguments.retention_seconds)) as server:
        wrong = asyncio.run(soak(server, arguments.viewers, arguments.seconds, arguments.seed))
    print("\n".join(["", *wrong[:20], f"{len(wrong)} things are wrong" if wrong else "Nothing lost"]))
    sys.exit(bool(wrong))


def serve() -> None:
    """`python app.py` with two works more."""
    import app  # here, because only the server needs it

    app.tasks.work(ticks)
    app.tasks.work(census)
    sys.argv = [sys.argv[0], *sys.argv[2:]]
    app.main()


if __name__ == "__main__":
    serve() if sys.argv[1:2] == ["serve"] else main()
