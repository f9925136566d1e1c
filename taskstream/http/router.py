"""The routes of a `TaskStream`, in the order in which a task lives."""

from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from taskstream.encoding import to_json
from taskstream.errors import NO_STORE, InvalidParameters
from taskstream.http import page
from taskstream.http.bodies import StartTaskBodies, read_body
from taskstream.http.idempotency_key import IdempotencyKeyHeader
from taskstream.http.openapi import (
    BAD_BODY,
    BUSY,
    LAST_EVENT_ID,
    METRICS,
    NOT_FOUND,
    OVERVIEW,
    STREAM,
    UNAVAILABLE,
    StartTaskOperation,
)
from taskstream.tasks import Snapshot, Task

if TYPE_CHECKING:
    from taskstream.http.task_stream import TaskStream

START = "/start-task"

TaskIds = Annotated[list[str], Query(alias="task_id", min_length=1, max_length=100)]


class NoStoreRoute(APIRoute):
    """A route whose answers are never cached, and which never echoes what was wrong in a request."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with that added."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response = await handler(request)
            except RequestValidationError as error:
                raise InvalidParameters(error.errors()) from None
            except HTTPException as error:  # also from the dependencies that are given with the router
                keep_from_caches(error)
                raise
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return handle

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or raise what is answered to another method than the route has."""
        try:
            await super().handle(scope, receive, send)
        except HTTPException as error:
            keep_from_caches(error)
            raise


def keep_from_caches(error: HTTPException) -> None:
    """Add `no-store` to what an error is answered with, unless it says something else."""
    error.headers = {**NO_STORE, **(error.headers or {})}


class WorkDescription(BaseModel):
    """Some work that can be started."""

    name: str
    description: str
    kind: Literal["async", "blocking"]
    parameters: dict[str, Any]


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok"] = "ok"
    backend: Literal["memory", "redis"]
    tasks: int
    running: int
    streams: int


class Routes:
    """The routes, bound to the `TaskStream` that they serve."""

    def __init__(self, tasks: "TaskStream") -> None:
        self._tasks = tasks
        self._bodies = StartTaskBodies(tasks.works)

    def add_to(self, router: APIRouter) -> None:
        """Add them to a router."""
        operation = StartTaskOperation(self._tasks.works, self._bodies)
        self._add(router, "POST", START, self.start_task, BAD_BODY | BUSY, openapi_extra=operation)
        untyped = {"response_class": Response, "response_model": None}
        streams = {**untyped, "openapi_extra": {"parameters": [LAST_EVENT_ID]}}
        for path in ("/task-progress/{task_id}", "/tasks/{task_id}/stream"):
            self._add(router, "GET", path, self.task_progress, STREAM, **streams)
        self._add(router, "GET", "/task-progress", self.tasks_progress, OVERVIEW, **streams)
        for path in ("/task-status/{task_id}", "/tasks/{task_id}"):
            self._add(router, "GET", path, self.task_status, NOT_FOUND | UNAVAILABLE)
        for path in ("/cancel-task/{task_id}", "/tasks/{task_id}/cancel"):
            self._add(router, "POST", path, self.cancel_task, NOT_FOUND | UNAVAILABLE)
        self._add(router, "GET", "/works", self.works, {}, response_model=list[WorkDescription])
        self._add(router, "GET", "/health", self.health, UNAVAILABLE, response_model=Health)
        if find_spec("prometheus_client"):
            self._add(router, "GET", "/metrics", self.metrics, METRICS | UNAVAILABLE, **untyped)

    def _add(
        self,
        router: APIRouter,
        method: str,
        path: str,
        endpoint: Callable[..., object],
        responses: dict[int | str, dict[str, Any]],
        **options: Any,  # noqa: ANN401 - those of FastAPI
    ) -> None:
        options = {"response_model": Snapshot, **options}
        router.add_api_route(path, endpoint, methods=[method], responses=responses, **options)

    async def start_task(self, request: Request, key: IdempotencyKeyHeader = None) -> Response:
        """Start some work, and answer the first snapshot of its task."""
        work, body = self._bodies.parse(await read_body(request) or b"{}")
        task = await self._tasks.start_parsed(work, body, name=body.name, idempotency_key=key)
        return snapshot_response(task, {"Location": f"{prefix_of(request)}/task-progress/{task.task_id}"})

    async def task_progress(self, request: Request, task_id: str) -> Response:
        """Stream a task: all that follows Last-Event-ID, then live, until its last snapshot."""
        return await self._tasks.stream(request, task_id)

    async def tasks_progress(self, request: Request, task_id: TaskIds) -> Response:
        """Stream many tasks at once: the latest snapshot of each, until all of them have ended."""
        if request.headers.get("last-event-id") == "end":
            return Response(status_code=204)
        return await self._tasks.stream_overview(task_id)

    async def task_status(self, task_id: str) -> Response:
        """Answer the latest snapshot of a task."""
        return snapshot_response(await self._tasks.registry.get(task_id))

    async def cancel_task(self, task_id: str) -> Response:
        """Ask a task to stop, and answer its snapshot; one that has ended stays as it is."""
        return snapshot_response(await self._tasks.registry.cancel(task_id))

    async def works(self) -> Response:
        """List what can be started, and the JSON Schema of its parameters; the first is the default."""
        return Response(
            to_json([work.describe() for work in self._tasks.works.public]), media_type="application/json"
        )

    async def health(self) -> Health:
        """Say that the server is well, and how much it has to do."""
        tasks, running = await self._tasks.registry.count()
        backend = self._tasks.registry.backend
        return Health(backend=backend, tasks=tasks, running=running, streams=self._tasks.streams.open)

    async def metrics(self) -> Response:
        """Answer all that is counted, in Prometheus' text format."""
        from taskstream.http.metrics import CONTENT_TYPE, render  # here, because what it needs is optional

        registry = self._tasks.registry
        tasks = await registry.count_by_status()
        return Response(
            render(self._tasks.streams, tasks, registry.events_published), media_type=CONTENT_TYPE
        )


def prefix_of(request: Request) -> str:
    """What stands before the routes in the address that `START` was asked for under, as URLs have it."""
    root, path = request.scope.get("root_path", ""), str(request.scope["path"])
    # Servers put the root path before the path, proxies that strip it leave it away.
    return quote((path if path.startswith(f"{root}/") else root + path).removesuffix(START))


def snapshot_response(task: Task, headers: dict[str, str] | None = None) -> Response:
    """The latest snapshot, as it stands in the log."""
    return Response(task.log.latest, media_type="application/json", headers=headers)


def create_router(tasks: "TaskStream") -> APIRouter:
    """A router with all routes, and the lifespan, of a `TaskStream`."""
    router = APIRouter(route_class=NoStoreRoute, lifespan=tasks.lifespan)
    Routes(tasks).add_to(router)
    if tasks.page:
        router.add_api_route(
            "/", page.index, methods=["GET", "HEAD"], include_in_schema=False, response_model=None
        )
    # Not a route of FastAPI's: dependencies must not guard it, as a script tag sends no header.
    router.add_route("/static/{path:path}", page.static, methods=["GET", "HEAD"], include_in_schema=False)
    return router
