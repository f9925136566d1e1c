"""The registry against a plain model of it, in any order of events that hypothesis can think of."""

import asyncio
import gc
import json
import logging
import math
import weakref
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from taskstream.errors import RegistryFull
from taskstream.registry import MemoryRegistry
from taskstream.settings import Settings
from taskstream.tasks import Task
from taskstream.updates import Result, Update, WorkError
from taskstream.work import Work

T = TypeVar("T")
Order = Update | Result | Exception
Row = tuple[str, int, str, object]
"""What the model knows of an event: status, progress, message, data."""

RETENTION_SECONDS = 60
MAX_TASKS = 4
TURNS = 15
"""So often the loop turns until all that can happen has happened."""


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is set by hand."""

    now = 0.0

    def time(self) -> float:
        """What the clock shows."""
        return self.now


@dataclass(eq=False)
class Model:
    """All that is to be known of a task, without a log, a registry or an event loop."""

    task_id: str
    task: weakref.ref[Task]
    orders: asyncio.Queue[Order]
    rows: list[Row] = field(default_factory=lambda: [("PENDING", 0, "Waiting to start", None)])
    ended_at: float = math.inf

    def expect(self, status: str, message: str, progress: float = 0, data: object = None) -> None:
        """There is one more event."""
        whole = max(self.rows[-1][1], min(99, round(progress)))
        self.rows.append((status, 100 if status == "SUCCESS" else whole, message, data))


def obey(orders: asyncio.Queue[Order]) -> Work:
    """Work that does as it is told."""

    async def work() -> AsyncIterator[Update | Result]:
        while True:
            order = await orders.get()
            if isinstance(order, Exception):
                raise order
            yield order
            if isinstance(order, Result):
                return

    return Work(work)


def parse(events: bytes) -> Iterator[tuple[int, Row]]:
    """The numbers of some events, and what the model knows of them; not what is said of those dropped."""
    for block in events.decode().split("\n\n")[:-1]:
        if block.startswith("event: lost\n"):
            continue
        number, data = block.split("\n")
        snapshot = json.loads(data.removeprefix("data: "))
        row = (snapshot["status"], snapshot["progress"], snapshot["message"], snapshot["data"])
        yield int(number.removeprefix("id: ")), row


class RegistryMachine(RuleBasedStateMachine):
    """Tasks are started, work, end and are forgotten."""

    tasks: Bundle[Model] = Bundle("tasks")

    @initialize(history_length=st.sampled_from([1, 3, 1000]))
    def open(self, history_length: int) -> None:
        """An empty registry, at time 0."""
        logging.disable()  # or the log's records, with their tracebacks, would keep the tasks alive
        self.loop = ClockLoop()
        self.complaints: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context["message"]))
        self.history_length = history_length
        limits = Settings(
            retention_seconds=RETENTION_SECONDS, max_tasks=MAX_TASKS, history_length=history_length
        )
        self.registry = self.settle(self.create(limits))
        self.running: list[Model] = []
        self.ended: list[Model] = []
        self.forgotten: list[Model] = []

    def find(self, model: Model) -> Task:
        """A task that is not forgotten."""
        task = self.loop.run_until_complete(self.registry.get(model.task_id))
        assert task
        return task

    async def create(self, limits: Settings) -> MemoryRegistry:
        """The registry, made on its loop."""
        return MemoryRegistry(limits)

    @rule(target=tasks, cancel=st.booleans())
    def start(self, cancel: bool) -> Any:
        """A task is started, and perhaps cancelled before it has begun."""

        async def start() -> Model:
            orders: asyncio.Queue[Order] = asyncio.Queue()
            work = obey(orders)
            task = await self.registry.start(work, work.parse({}), "a name", None, None)
            if cancel:
                await self.registry.cancel(task)
            return Model(task.task_id, weakref.ref(task), orders)

        if len(self.running) == MAX_TASKS:
            with pytest.raises(RegistryFull):
                self.settle(start())
            return multiple()
        if len(self.running) + len(self.ended) == MAX_TASKS:
            self.forgotten.append(self.ended.pop(0))
        model = self.settle(start())
        self.running.append(model)
        if cancel:
            self.end(model, "REVOKED", "Cancelled")
        else:
            model.expect("STARTED", "Started")
        return model

    @rule(model=tasks, progress=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=4))
    def publish(self, model: Model, progress: list[float]) -> None:
        """Work reports, once or several times in a row."""
        for each in progress:
            model.orders.put_nowait(Update(each, "Still here", {"at": each}))
            if model in self.running:
                model.expect("PROGRESS", "Still here", each, {"at": each})
        self.settle()

    @rule(model=tasks)
    def finish(self, model: Model) -> None:
        """Work hands over its result."""
        model.orders.put_nowait(Result([1, 2]))
        self.settle()
        self.end(model, "SUCCESS", "Done", [1, 2])

    @rule(model=tasks, error=st.sampled_from([WorkError, KeyError]))
    def fail(self, model: Model, error: type[Exception]) -> None:
        """Work raises, what it means to or what it doesn't."""
        model.orders.put_nowait(error("The disk is full"))
        self.settle()
        unexpected = "Unexpected KeyError: the server's log has the details"
        self.end(model, "FAILURE", "The disk is full" if error is WorkError else unexpected)

    @rule(model=tasks)
    def cancel(self, model: Model) -> None:
        """A task is cancelled, whether it runs or has ended; unless it is forgotten."""
        if model in self.forgotten:
            assert self.settle(self.registry.get(model.task_id)) is None
            return
        self.settle(self.registry.cancel(self.find(model)))
        self.end(model, "REVOKED", "Cancelled")

    @rule(seconds=st.sampled_from([1, RETENTION_SECONDS / 2, RETENTION_SECONDS]))
    def expire(self, seconds: float) -> None:
        """Time passes."""
        self.loop.now += seconds
        self.settle()
        due = [model for model in self.ended if model.ended_at + RETENTION_SECONDS <= self.loop.now]
        for model in due:
            self.ended.remove(model)
            self.forgotten.append(model)
        if any(model.task() for model in self.forgotten):
            gc.collect()  # an exception and the frame that raised it know each other
        assert [model for model in self.forgotten if model.task()] == []

    @invariant()
    def tasks_are_as_in_the_model(self) -> None:
        """Ids without a gap, statuses in order, progress that rises, one last event."""
        known = len(self.running) + len(self.ended)
        assert self.loop.run_until_complete(self.registry.count()) == (known, len(self.running))
        for model in self.running + self.ended:
            log = self.find(model).log
            assert log.last_id == len(model.rows)
            assert log.ended == (model in self.ended)
            kept = list(enumerate(model.rows, 1))[-self.history_length :]
            events, _ = log.after(0)
            assert list(parse(events)) == kept
            dropped = len(model.rows) - len(kept)
            lost = b'event: lost\ndata: {"from":1,"to":%d}\n\n' % dropped
            assert events.startswith(lost) == (dropped > 0)

    @invariant()
    def nothing_else_runs(self) -> None:
        """There is an asyncio task for each task that runs."""
        assert len(asyncio.all_tasks(self.loop)) == len(self.running)
        assert self.complaints == []

    def teardown(self) -> None:
        """The registry is closed: everything ends, and nothing is left."""
        logging.disable(logging.NOTSET)
        self.settle(self.registry.close())
        for model in list(self.running):
            self.end(model, "REVOKED", "Cancelled")
        assert self.loop.run_until_complete(self.registry.count()) == (0, 0)
        assert asyncio.all_tasks(self.loop) == set()
        self.loop.close()

    def settle(self, coroutine: Awaitable[T] | None = None) -> T:
        """What a coroutine returns, when all that follows from it has happened too."""

        async def settled() -> Any:
            try:
                return await coroutine if coroutine else None
            finally:
                for _ in range(TURNS):
                    await asyncio.sleep(0)

        result: T = self.loop.run_until_complete(settled())
        return result

    def end(self, model: Model, status: str, message: str, data: object = None) -> None:
        """A task has come to its end, unless it had before."""
        if model in self.running:
            model.expect(status, message, data=data)
            model.ended_at = self.loop.now
            self.running.remove(model)
            self.ended.append(model)


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=30, stateful_step_count=40)
