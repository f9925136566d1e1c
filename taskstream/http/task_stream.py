"""`TaskStream`: the tasks of an application, introduced to FastAPI."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack, cast

from fastapi import APIRouter, Request, Response

from taskstream.application import Tasks
from taskstream.backends import LazyCelery, open_registry
from taskstream.encoding import to_json
from taskstream.errors import NO_STORE, InvalidParameters
from taskstream.http.named_events import NamedFollower, NameEvent
from taskstream.http.response import StreamResponse
from taskstream.http.router import create_router
from taskstream.http.servers import on_server_stop, warn_of_many
from taskstream.http.streams import Streams
from taskstream.log import Log
from taskstream.registry import Registry
from taskstream.running import Scope
from taskstream.settings import SettingsKeywords
from taskstream.viewers import Follower, Overview, Viewer

if TYPE_CHECKING:
    from celery import Celery

LAST_EVENT_ID_QUERY = ("last_event_id", "lastEventId", "Last-Event-ID")
MAX_WAIT_SECONDS = 30


class TaskStream(Tasks):
    """Long-running tasks of one application, and streams of their progress.

    Include `router` in an application, or use it in `async with`: that is what starts and stops it. Two of
    them share nothing, unless they have the same Redis and the same namespace.
    """

    def __init__(
        self,
        *,
        scope: Callable[..., Any] | None = None,
        page: bool = True,
        namespace: str = "taskstream",
        track_tqdm: bool = False,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        """Take settings; see `Settings` for units and defaults. Raises `ValueError` for a bad one.

        `scope` is a dependency of FastAPI's that returns whose a request is: a non-empty string. With it,
        requests know the tasks of their own scope only, and `GET /tasks` lists them.
        `page` says whether the router has the web page. `namespace` keeps applications that share a Redis
        apart: it begins the names of all keys, Celery's included. With `track_tqdm`, bars of tqdm that are
        made in a task are steps of it.
        """
        super().__init__(open_registry, namespace, settings, track_tqdm)
        self.scope = scope
        self.scoped = scope is not None
        self.page = page

    @cached_property
    def router(self) -> APIRouter:
        """The routes, the page and the lifespan: `app.include_router(tasks.router, prefix="/jobs")`."""
        return create_router(self)

    @cached_property
    def celery(self) -> "Celery":
        """The Celery application whose workers run the tasks: `celery -A mine:celery worker`.

        It is made when Celery asks for it. Without a Redis URL, that ends the program with a sentence.
        """
        return cast("Celery", LazyCelery(self))

    async def stream(
        self,
        request: Request,
        task_id: str,
        name_event: NameEvent | None = None,
        *,
        scope: Scope | None = None,
    ) -> Response:
        """The response that streams a task, for a route of one's own: all that follows Last-Event-ID.

        With `?wait=10` in the request it is over as soon as there is something, or after so many seconds.
        204 when there is nothing more to come, which tells EventSource to stop. `name_event` makes the name
        and the data of each event that is sent, or leaves it out.

        Raises `TaskNotFound`, `InvalidParameters`, `StreamsFull`, `BackendUnavailable`.
        """
        last_event_id, wait = last_event_id_of(request), wait_of(request)
        task = await self.find(task_id, self.whose(scope), last_event_id)
        after = task.log.parse_id(last_event_id)
        viewer = NamedFollower(task.log, after, name_event) if name_event else Follower(task.log, after)
        if task.log.ended and viewer.caught_up:
            return Response(status_code=204, headers=NO_STORE)  # or EventSource would ask again, for ever
        return self._respond(viewer, wait)

    async def stream_many(
        self, request: Request, task_ids: Iterable[str], *, scope: Scope | None = None
    ) -> Response:
        """The response that streams the latest snapshots of many tasks, until all of them have ended.

        Raises `InvalidParameters`, `StreamsFull`, `BackendUnavailable`.
        """
        wait, whose, ids = wait_of(request), self.whose(scope), [*dict.fromkeys(task_ids)]
        if not ids or last_event_id_of(request) == "end":
            return Response(status_code=204, headers=NO_STORE)
        logs: list[Log] = []
        unknown: list[bytes] = []
        for task_id, task in zip(ids, await self.registry.get_many(ids), strict=True):
            if task and whose in (None, task.scope):
                logs.append(task.log)
            else:
                told = {"task_id": task_id, "detail": str(self.not_found(task_id))}
                unknown.append(b"event: unknown\ndata: %b\n\n" % to_json(told))
        return self._respond(Overview(logs, unknown), wait)

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[dict[str, bool]]:
        """The lifespan of whoever includes the router, with a state by which its server is known."""
        async with self:
            yield self._stop_hook.state()

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Registry]:
        """Open the registry and the streams; let the viewers go when the server stops."""
        settings = self.settings
        self._stopping = False
        self.streams = Streams(settings.max_streams, settings.ping_seconds, settings.stall_seconds)
        async with super()._run() as registry:
            if registry.backend == "memory":
                warn_of_many()

            def release_viewers(stopping: bool) -> None:
                self._stopping = stopping
                if stopping:
                    registry.release_viewers()

            watching = asyncio.create_task(self.streams.watch())
            # The end of the lifespan comes too late for this: it waits for the streams to end.
            with on_server_stop(release_viewers) as self._stop_hook:
                try:
                    yield registry
                finally:
                    watching.cancel()

    def _respond(self, viewer: Viewer, wait_seconds: int | None) -> Response:
        for log in viewer.logs:
            log.closed = log.ended or self._stopping  # what begins while the server stops ends at once
        return StreamResponse(viewer, self.streams, self.settings.retry_milliseconds, wait_seconds)


def last_event_id_of(request: Request) -> str | None:
    """What the header says; where it is absent, the query, into which polyfills put it."""
    last_event_id = request.headers.get("last-event-id")
    if last_event_id is None and request.scope["query_string"]:
        query = request.query_params
        return next((query[name] for name in LAST_EVENT_ID_QUERY if name in query), None)
    return last_event_id


def wait_of(request: Request) -> int | None:
    """The seconds that `?wait=` asks for, if it is there. Raises `InvalidParameters`."""
    if not request.scope["query_string"] or (text := request.query_params.get("wait")) is None:
        return None
    if not re.fullmatch("[0-9]{1,2}", text) or int(text) > MAX_WAIT_SECONDS:
        raise InvalidParameters.of("wait", f"Input should be 0 to {MAX_WAIT_SECONDS} seconds", "query")
    return int(text)
