"""`Tasks`: the verbs of an application. It knows no framework, and is handed its back end."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar, overload

from taskstream.errors import InvalidParameters, TaskNotFound, TryLater
from taskstream.events import Event, Snapshot, TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.registry import Registry
from taskstream.reporting import OutputHandler
from taskstream.running import ANOTHER_LOOP, Running, Scope
from taskstream.signatures import Function
from taskstream.sync import SyncTasks
from taskstream.tasks import Task
from taskstream.updates import check_text
from taskstream.viewers import Follower
from taskstream.work import Parameters, Work

WorkFunction = TypeVar("WorkFunction", bound=Function)

logger = logging.getLogger(__name__)

MAX_NAME = 100
"""Characters in the name of a task."""


class Tasks(Running):
    """Long-running tasks of one application; used in `async with`, which starts and ends them."""

    _told = False

    @cached_property
    def sync(self) -> SyncTasks:
        """The same verbs where nothing can be awaited, as in threads."""
        return SyncTasks(self)

    @overload
    def work(self, function: WorkFunction, /) -> WorkFunction: ...

    @overload
    def work(
        self, /, *, name: str | None = None, public: bool = True
    ) -> Callable[[WorkFunction], WorkFunction]: ...

    def work(
        self, function: WorkFunction | None = None, /, *, name: str | None = None, public: bool = True
    ) -> WorkFunction | Callable[[WorkFunction], WorkFunction]:
        """Make a function work that tasks can run; the function itself stays as it is.

        An async generator yields `Update`s, and a `Result` at its end if it has one. A coroutine function
        or a blocking function, which runs in a thread, calls `report` or `track`, and returns the result.
        Its parameters are what `POST /start-task` accepts for it, unless it isn't `public`.

        Raises `TypeError` for a function that can't be work, `ValueError` for a name that is taken.
        """

        def add(function: WorkFunction) -> WorkFunction:
            self.works.add(Work(function, name, public=public))
            return function

        return add if function is None else add(function)

    def log_handler(self, level: int | str = logging.NOTSET) -> logging.Handler:
        """A handler for `logging` that turns the records of the current task into its output.

        `logging.getLogger().addHandler(tasks.log_handler())`
        """
        return OutputHandler(level)

    @property
    def registry(self) -> Registry:
        """The registry of the tasks. Raises `RuntimeError` unless this runs in the current event loop."""
        home = self._home or self.find_home()
        if home.loop is not asyncio.get_running_loop():
            raise RuntimeError(f"{ANOTHER_LOOP}: call `tasks.sync.start(…)`, in a thread that may wait.")
        return home.registry

    async def start(
        self,
        work: Function | str,
        /,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        scope: Scope | None = None,
        **parameters: Any,  # noqa: ANN401 - they are checked against the signature of the work
    ) -> Snapshot:
        """Start some work with these parameters; the first snapshot of its task.

        The same `idempotency_key` with the same work, name and parameters, while the first task is
        remembered, answers that task's latest snapshot and starts nothing. A key has 1 to 255 printable
        ASCII characters. `scope` says whose the task is, such as the id of a user, and keys count within
        it; a task that is started in work is in the scope of the one that starts it.

        Raises `InvalidParameters`, `IdempotencyKeyReused`, `RegistryFull`, `BackendUnavailable`.
        """
        found = self.works.get(work)
        whose = self.whose(scope, inherits=True)
        task = await self.start_parsed(found, found.parse(parameters), name, idempotency_key, whose)
        return task.snapshot

    async def start_parsed(
        self,
        work: Work,
        parameters: Parameters,
        name: str | None = None,
        idempotency_key: str | None = None,
        scope: str | None = None,
    ) -> Task:
        """Start some work whose parameters have been checked; its task."""
        if name is not None:
            check_text("The name", name)
        name = name or work.name
        if len(name) > MAX_NAME:
            raise InvalidParameters.of("name", f"String should have at most {MAX_NAME} characters")
        key = None
        if idempotency_key is not None:
            check_text("The idempotency_key", idempotency_key)
            start = [work.name, name, parameters.json_values(full=False)]
            key = IdempotencyKey.of(idempotency_key, scope, start)
        if self._home and self._home.closing:
            raise TryLater("The server stops: nothing is started any more.")
        return await self.registry.start(work, parameters, name, key, scope)

    async def find(self, task_id: str, scope: str | None, last_event_id: str | None = None) -> Task:
        """A task of this scope; another's is as unknown as none. See `Registry.get`."""
        check_text("The task_id", task_id)
        if task_id.isascii():  # as all that are given out; not every text has bytes to ask a back end for
            task = await self.registry.get(task_id, last_event_id)
            if task and scope in (None, task.scope):
                return task
        raise self.not_found(task_id)

    def not_found(self, task_id: str) -> TaskNotFound:
        """The error for an id; the log says once that other processes may have given it out."""
        error = TaskNotFound(task_id, self.settings.retention_seconds, self.registry.mark)
        if error.elsewhere and not self._told:
            self._told = True
            logger.warning("%s", error)
        return error

    async def get(self, task_id: str, *, scope: Scope | None = None) -> Snapshot:
        """The latest snapshot of a task. Raises `TaskNotFound`, `BackendUnavailable`."""
        return (await self.find(task_id, self.whose(scope))).snapshot

    async def cancel(self, task_id: str, *, scope: Scope | None = None) -> Snapshot:
        """Ask a task to stop; its snapshot. Raises `TaskNotFound`, `BackendUnavailable`."""
        task = await self.find(task_id, self.whose(scope))
        if not (self._home and self._home.closing):  # then all are told
            await self.registry.cancel(task)
        return task.snapshot

    async def follow(
        self, task_id: str, after: int = 0, *, scope: Scope | None = None
    ) -> AsyncIterator[Event]:
        """The events of a task that come after the one with this number, up to the last.

        It ends early if the server stops. Raises `TaskNotFound`, `BackendUnavailable`, when it is asked for
        the first event; a response that has begun can't tell of that: `get` the task before.
        """
        last_event_id = str(after) if after else None
        task = await self.find(task_id, self.whose(scope), last_event_id)
        with Follower(task.log, task.log.parse_id(last_event_id)) as viewer:
            while (events := viewer.take_events()) or await viewer.wait():
                for event in events:
                    yield event

    async def list(
        self, scope: Scope | None = None, status: TaskStatus | str | None = None, limit: int = 100
    ) -> Sequence[Snapshot]:
        """The latest snapshots, those of the newest tasks first: of a scope, in a status.

        Raises `ValueError` for what is no status or a negative limit, `BackendUnavailable`.
        """
        if limit < 0:
            raise ValueError(f"The limit has to be 0 or more, not {limit}")
        only = None if status is None else TaskStatus(status)
        found = await self.registry.list(self.whose(scope), only, min(limit, sys.maxsize))
        return [Snapshot.from_json(data) for data in found]
