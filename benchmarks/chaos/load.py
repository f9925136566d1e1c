"""Those who start tasks, with and without a key, at one server or at both; and who cancel them."""

import asyncio
import time
import uuid
from collections import deque
from typing import Any

import aiohttp

from benchmarks.chaos.facts import snapshot_of
from benchmarks.chaos.history import Outcome, What
from benchmarks.chaos.viewers import NETWORK_ERRORS, OverviewViewer, Surroundings, TaskViewer

REQUEST_SECONDS = 5
UNFINISHED = 10
"""Tasks that have viewers, at a time."""

OVERVIEW = 5
"""Tasks that are watched over one stream."""

ATTEMPTS = 40
"""How often a start is tried under its key."""

AGAIN_SECONDS = 0.5

COUNT_SECONDS = 0.2

NO_PLACE = "places are taken by tasks that still run"
"""How a server refuses a start when there are as many tasks as there may be."""


class Load:
    """All clients of a run."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._session = surroundings.session
        self._urls = surroundings.urls
        self._recorder = surroundings.recorder
        self._draw = surroundings.draw
        self._any_url = surroundings.any_url
        self._places = asyncio.Semaphore(UNFINISHED)
        self._viewers = 0
        self._latest: deque[str] = deque(maxlen=OVERVIEW)

    async def run(self, until: float) -> None:
        """Start tasks until then, and watch each to its end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._overlook(until))
            group.create_task(self._count(until))
            while time.time() < until:
                await self._places.acquire()
                group.create_task(self._live_through()).add_done_callback(lambda _: self._places.release())
                await asyncio.sleep(self._draw.uniform(0, 0.5))

    async def probe(self, url: str) -> None:
        """Start a task through one server, and see it succeed, however long that takes."""
        body = {"work": "steps", "steps": 1, "seconds": 0}
        while True:
            task = await self._start({**body, **self._label("probe")}, "", url)
            if task and await self._succeeds(task, url):
                return
            await asyncio.sleep(0.1)

    async def _succeeds(self, task: str, url: str) -> bool:
        """Whether a task comes to its end."""
        while True:
            status, answer = await self._ask("GET", f"{url}/task-status/{task}")
            if status == 404:
                return False
            if status == 200 and '"SUCCESS"' in answer:
                return True
            await asyncio.sleep(0.1)

    async def _live_through(self) -> None:
        """Start a task, watch it, perhaps cancel it."""
        body = self._draw_body()
        key = uuid.UUID(int=self._draw.getrandbits(128)).hex if self._draw.random() < 0.6 else ""
        task = await self._start_surely(body, key) if key else await self._start(body, "", self._any_url())
        if not task:
            return
        self._latest.append(task)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._draw.choice([1, 1, 2, 3])):
                group.create_task(self._watch(task, self._draw.choice([0, 0, 0, 1, 3])))
            if self._draw.random() < 0.25:
                group.create_task(self._cancel(task, self._draw.choice([0, 0.02, 0.1, 0.5, 1])))
            if self._draw.random() < 0.3:
                group.create_task(self._look(task))
            if key and self._draw.random() < 0.5:
                await asyncio.sleep(self._draw.random())
                await self._start_surely(body, key)

    async def _watch(self, task: str, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        await TaskViewer(self._new_viewer(), task, self._surroundings).watch()

    async def _overlook(self, until: float) -> None:
        """Watch the latest tasks over one stream, again and again."""
        while time.time() < until:
            await asyncio.sleep(1)
            if self._latest:
                await OverviewViewer(self._new_viewer(), list(self._latest), self._surroundings).watch()

    async def _count(self, until: float) -> None:
        """Ask again and again, anywhere, how many tasks there are."""
        while time.time() < until:
            url = self._any_url()
            status, answer = await self._ask("GET", f"{url}/health")
            self._recorder.record(What.HEALTH, url, outcome=outcome_of(status), status=status, data=answer)
            await asyncio.sleep(COUNT_SECONDS)

    def _new_viewer(self) -> str:
        self._viewers += 1
        return f"viewer-{self._viewers}"

    def _draw_body(self) -> dict[str, Any]:
        """What is asked for: mostly short work; some that says nothing for longer than a lease lasts."""
        silent = self._draw.random() < 0.08
        return {
            **self._label("work"),
            "work": self._draw.choice(["steps", "blocking", "in_threads"]),
            "steps": 1 if silent else self._draw.randint(1, 15),
            "seconds": 13 if silent else self._draw.choice([0, 0.2, 1, 2, 4]),
            "fail": self._draw.random() < 0.2,
            "kib": self._draw.choice([0] * 9 + [100]),
        }

    def _label(self, kind: str) -> dict[str, str]:
        label = f"{kind}-{self._draw.getrandbits(48):012x}"
        return {"label": label, "name": label, "secret": label}

    async def _start_surely(self, body: dict[str, Any], key: str) -> str:
        """Start a task under a key, at both servers at once or at one after another; its id."""
        for _ in range(ATTEMPTS):
            urls = self._urls if self._draw.random() < 0.3 else [self._any_url()]
            tasks = await asyncio.gather(*(self._start(body, key, url) for url in urls))
            if started := [task for task in tasks if task]:
                return started[0]
            await asyncio.sleep(AGAIN_SECONDS)
        return ""

    async def _start(self, body: dict[str, Any], key: str, url: str) -> str:
        """The id of a task that was started, or nothing."""
        since = time.time()
        status, answer = await self._ask("POST", f"{url}/start-task", body, key)
        task = snapshot_of(answer)["task_id"] if status == 200 else ""
        about = {"task": task, "label": body["label"], "key": key, "since": since, "data": answer}
        outcome = Outcome.FAIL if status == 503 and NO_PLACE in answer else outcome_of(status)
        self._recorder.record(What.START, url, outcome=outcome, status=status, **about)
        return task

    async def _cancel(self, task: str, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        since, url = time.time(), self._any_url()
        status, answer = await self._ask("POST", f"{url}/cancel-task/{task}")
        about = {"task": task, "since": since, "data": answer}
        self._recorder.record(What.CANCEL, url, outcome=outcome_of(status), status=status, **about)

    async def _look(self, task: str) -> None:
        """Ask for the status of a task a few times, anywhere."""
        for _ in range(self._draw.randint(1, 5)):
            since, url = time.time(), self._any_url()
            status, answer = await self._ask("GET", f"{url}/task-status/{task}")
            about = {"task": task, "since": since, "data": answer}
            self._recorder.record(What.STATUS, url, outcome=outcome_of(status), status=status, **about)
            await asyncio.sleep(self._draw.uniform(0, 1))

    async def _ask(
        self, method: str, address: str, body: dict[str, Any] | None = None, key: str = ""
    ) -> tuple[int, str]:
        """The status and the text of an answer; 0 if there was none."""
        headers = {"Idempotency-Key": key} if key else {}
        timeout = aiohttp.ClientTimeout(REQUEST_SECONDS)
        try:
            async with self._session.request(
                method, address, json=body, headers=headers, timeout=timeout
            ) as response:
                return response.status, await response.text()
        except NETWORK_ERRORS:
            return 0, ""


def outcome_of(status: int) -> Outcome:
    """What became of a request that was answered like this; 503 may come after the deed."""
    if status == 200:
        return Outcome.OK
    return Outcome.FAIL if 400 <= status < 500 else Outcome.UNKNOWN
