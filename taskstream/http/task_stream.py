"""`TaskStream`: all that an application has of tasks, and what it gives to FastAPI."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast, overload

from fastapi import APIRouter, Request, Response

from taskstream.encoding import to_json
from taskstream.errors import NO_STORE, InvalidParameters
from taskstream.events import Event, read_events
from taskstream.http.bodies import MAX_NAME
from taskstream.http.idempotency_key import parse_idempotency_key
from taskstream.http.named_events import NamedFollower, NameEvent
from taskstream.http.response import StreamResponse
from taskstream.http.router import create_router
from taskstream.http.running import Running, run
from taskstream.http.streams import Streams
from taskstream.log import Follower, Overview, Viewer
from taskstream.log_handler import OutputHandler
from taskstream.redis.lazy import LazyCelery
from taskstream.registry import IdempotencyKey, Registry
from taskstream.settings import Settings, SettingsKeywords, replace
from taskstream.signatures import Function
from taskstream.tasks import Snapshot, Task, read_snapshot
from taskstream.work import Parameters, Work, Works

if TYPE_CHECKING:
    from celery import Celery

WorkFunction = TypeVar("WorkFunction", bound=Function)

ANOTHER_LOOP = "This TaskStream runs in another event loop"


class TaskStream:
    """Long-running tasks of one application, and streams of their progress.

    Include `router` in an application, or use it in `async with`: that is what starts and stops it. Two of
    them share nothing, unless they have the same Redis and the same namespace.
    """

    def __init__(
        self, *, page: bool = True, namespace: str = "taskstream", **settings: Unpack[SettingsKeywords]
    ) -> None:
        """Take settings; see `Settings` for units and defaults. Raises `ValueError` for a bad one.

        `page` says whether the router has the web page. `namespace` keeps applications that share a Redis
        apart: it begins the names of all keys, Celery's included.
        """
        self.page = page
        self.namespace = namespace
        self.works = Works()
        self.settings = replace(Settings(), settings)
        self._running: Running | None = None
        self._users = 0
        self._stack = AsyncExitStack()

    def configure(self, **settings: Unpack[SettingsKeywords]) -> None:
        """Replace settings, until it starts. Raises `ValueError` for a bad one, else `RuntimeError`."""
        if self._running:
            raise RuntimeError("This TaskStream runs: its settings can be replaced only before it starts.")
        self.settings = replace(self.settings, settings)

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

    @cached_property
    def router(self) -> APIRouter:
        """The routes, the page and the lifespan: `app.include_router(tasks.router, prefix="/jobs")`."""
        return create_router(self)

    @cached_property
    def celery(self) -> "Celery":
        """The Celery application whose workers run the tasks: `celery -A mine:celery worker`.

        It is made when Celery asks for it. Without a Redis URL, that ends the program with a sentence.
        """
        return cast("Celery", LazyCelery(self._make_celery))

    async def start(
        self,
        work: Function | str,
        /,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        scope: str | None = None,
        **parameters: Any,  # noqa: ANN401 - they are checked against the signature of the work
    ) -> Snapshot:
        """Start some work with these parameters; the first snapshot of its task.

        The same `idempotency_key` with the same work, name and parameters, while the first task is
        remembered, answers that task's latest snapshot and starts nothing. A key has 1 to 255 printable
        ASCII characters. Keys are one space, unless they are put into a `scope`, such as the id of a user.

        Raises `InvalidParameters`, `IdempotencyKeyReused`, `RegistryFull`, `BackendUnavailable`.
        """
        found = self.works.get(work)
        task = await self.start_parsed(
            found, found.parse(parameters), name=name, idempotency_key=idempotency_key, scope=scope
        )
        return read_snapshot(task.log.latest)

    async def get(self, task_id: str) -> Snapshot:
        """The latest snapshot of a task. Raises `TaskNotFound`, `BackendUnavailable`."""
        return read_snapshot((await self.registry.get(task_id)).log.latest)

    async def cancel(self, task_id: str) -> Snapshot:
        """Ask a task to stop; its snapshot. Raises `TaskNotFound`, `BackendUnavailable`."""
        return read_snapshot((await self.registry.cancel(task_id)).log.latest)

    async def follow(self, task_id: str, after: int = 0) -> AsyncIterator[Event]:
        """The events of a task that come after the one with this number, up to the last.

        It ends early if the server stops. Raises `TaskNotFound`, `BackendUnavailable`, when it is asked for
        the first event; a response that has begun can't tell of that: `get` the task before.
        """
        last_event_id = str(after) if after else None
        task = await self.registry.get(task_id, last_event_id)
        with Follower(task.log, task.log.parse_id(last_event_id)) as viewer:
            while events := await viewer.read():
                for event in read_events(events):
                    yield event

    async def stream(self, request: Request, task_id: str, name_event: NameEvent | None = None) -> Response:
        """The response that streams a task, for a route of one's own: all that follows Last-Event-ID.

        204 when there is nothing more to come, which tells EventSource to stop. `name_event` makes the name
        and the data of each event that is sent, or leaves it out.

        Raises `TaskNotFound`, `StreamsFull`, `BackendUnavailable`.
        """
        last_event_id = request.headers.get("last-event-id")
        task = await self.registry.get(task_id, last_event_id)
        after = task.log.parse_id(last_event_id)

        def viewer() -> Follower:
            return NamedFollower(task.log, after, name_event) if name_event else Follower(task.log, after)

        if task.ended and not viewer().take():
            return Response(status_code=204, headers=NO_STORE)  # or EventSource would ask again, for ever
        return self._respond(viewer())

    async def stream_overview(self, task_ids: Iterable[str]) -> Response:
        """The response that streams the latest snapshots of many tasks, until all of them have ended.

        Raises `StreamsFull`, `BackendUnavailable`.
        """
        ids = list(dict.fromkeys(task_ids))
        tasks = await self.registry.get_many(ids)
        unknown = [
            b"event: unknown\ndata: %b\n\n" % to_json({"task_id": task_id})
            for task_id, task in zip(ids, tasks, strict=True)
            if task is None
        ]
        return self._respond(Overview((task.log for task in tasks if task), unknown))

    async def start_parsed(
        self,
        work: Work,
        parameters: Parameters,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        scope: str | None = None,
    ) -> Task:
        """Start some work whose parameters have been checked; its task."""
        name = name or work.name
        if len(name) > MAX_NAME:
            raise InvalidParameters.of("name", f"String should have at most {MAX_NAME} characters")
        key = None
        if (given := parse_idempotency_key(idempotency_key)) is not None:
            fingerprint = hashlib.sha256(to_json([work.name, name, parameters.json_values()]))
            key = IdempotencyKey(to_json([scope, given]).decode(), fingerprint.hexdigest())
        return await self.registry.start(work, parameters, name, key)

    @property
    def registry(self) -> Registry:
        """The registry of the tasks. Raises `RuntimeError` unless this runs."""
        return self._now.registry

    @property
    def streams(self) -> Streams:
        """The open streams. Raises `RuntimeError` unless this runs."""
        return self._now.streams

    async def __aenter__(self) -> Self:
        """Start, unless it has been started: a router that is included twice enters twice."""
        if self._running is None:
            self.works.check()
            self._running = await self._stack.enter_async_context(run(self.settings, self.namespace))
        elif self._running.loop is not asyncio.get_running_loop():
            raise RuntimeError(f"{ANOTHER_LOOP}: make one for each.")
        self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, when the last one leaves: end what still runs."""
        self._users -= 1
        if not self._users:
            self._running = None
            await self._stack.pop_all().aclose()  # who enters meanwhile has one of its own

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """The lifespan of whoever includes the router; without state, whose keys could collide."""
        async with self:
            yield

    def _make_celery(self) -> "Celery":
        if self.settings.redis_url is None:
            raise SystemExit(
                "A worker needs Redis: set its URL, as TASKSTREAM_REDIS_URL for app.py, or as "
                "TaskStream(redis_url=…) in a module of your own."
            )
        from taskstream.redis.worker import Worker

        self.works.check()
        return Worker(self.works, self.settings, self.namespace).celery

    def _respond(self, viewer: Viewer) -> Response:
        return StreamResponse(viewer, self.streams, self.settings.retry_milliseconds)

    @property
    def _now(self) -> Running:
        if self._running is None:
            raise RuntimeError(
                "This TaskStream isn't running: include its router in the application that is served (the "
                "lifespan of a mounted one never runs), or use it in `async with tasks:`."
            )
        if self._running.loop is not asyncio.get_running_loop():
            raise RuntimeError(
                f"{ANOTHER_LOOP}. In a `def` route, call `anyio.from_thread.run(partial(tasks.start, …))`, "
                "in other threads `asyncio.run_coroutine_threadsafe(tasks.start(…), loop)`."
            )
        return self._running
