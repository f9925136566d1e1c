"""The load: tasks, and viewers who compare and check what they see."""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from taskstream.client import EventSource, EventSourceError
from taskstream.client.event_source import NETWORK_ERRORS
from taskstream.client.protocol import ENDED, SnapshotDict as Snapshot

TASKS = 20
"""Tasks at a time."""
ABSENCE_SECONDS = 1
"""The longest that a viewer stays away, or reads nothing."""


@dataclass
class Load:
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

    async def last(self, seconds: float) -> None:
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
            steps = self.draw.randint(5, 20)
            body: dict[str, object] = {"steps": steps, "pause": seconds / steps}
            if self.draw.random() < 0.1:
                body |= {"work": "hold", "fail": self.draw.random() < 0.5}
            else:
                kib = self.draw.choice([0] * 19 + [32])
                body |= {"work": "ticks", "kib": kib, "fail": self.draw.random() < 0.2}
            task_id = (await self.post("/start-task", **body))["task_id"]
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
