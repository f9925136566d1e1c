"""The routes of a `TaskStream`, in the order in which a task lives."""

from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from taskstream.encoding import to_json
from taskstream.errors import NO_STORE, InvalidParameters
from taskstream.events import Snapshot, TaskStatus
from taskstream.http import openapi, page
from taskstream.http.bodies import IdempotencyKeyHeader, StartTaskBodies, read_body
from taskstream.http.scopes import SCOPE, dependencies_of
from taskstream.tasks import Task

if TYPE_CHECKING:
    from taskstream.http.task_stream import TaskStream

START = "/start-task"

Options = dict[str, Any]

TaskIds = Annotated[list[str], Query(alias="task_id", min_length=1, max_length=100)]

Limit = Annotated[int, Query(ge=1, le=1000)]


class WorkDescription(BaseModel):
    """Some work that can be started."""

    name: str
    description: str
    kind: Literal["async", "blocking"]
    parameters: dict[str, Any]


class Health(BaseModel):
    """The state of the server."""

    status: Literal["ok"] = "ok"
    backend: Literal["memory", "redis"]
    tasks: int
    running: int
    streams: int


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
                raise uncached(error) from None
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return handle

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or raise what is answered to another method than the route has."""
        try:
            await super().handle(scope, receive, send)
        except HTTPException as error:
            raise uncached(error) from None


def uncached(error: HTTPException) -> HTTPException:
    """The error, whose answer no cache may keep, unless it says something else."""
    error.headers = {**NO_STORE, **(error.headers or {})}
    return error


def create_router(tasks: "TaskStream") -> APIRouter:
    """A router with all routes, and the lifespan, of a `TaskStream`."""
    router = APIRouter(route_class=NoStoreRoute, lifespan=tasks.lifespan, responses=openapi.METHOD)
    router.dependencies = dependencies_of(tasks)
    add_start(router, tasks)
    add_streams(router, tasks)
    add_status(router, tasks)
    router.dependencies = []  # what follows is nobody's
    add_descriptions(router, tasks)
    if tasks.page:
        router.add_api_route("/", page.index, methods=["GET", "HEAD"], include_in_schema=False)
    # Not a route of FastAPI's: dependencies must not guard it, as a script tag sends no header.
    router.add_route("/static/{path:path}", page.static, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def add_start(router: APIRouter, tasks: "TaskStream") -> None:
    """The route that starts tasks."""
    bodies = StartTaskBodies(tasks.works)
    operation = openapi.StartTaskOperation(tasks.works, bodies)

    @router.post(
        START, response_model=Snapshot, responses=openapi.START, openapi_extra=cast("Options", operation)
    )
    async def start_task(request: Request, key: IdempotencyKeyHeader = None) -> Response:
        """Start some work, and answer the first snapshot of its task."""
        work, body = bodies.parse(await read_body(request) or b"{}")
        task = await tasks.start_parsed(work, body, body.name, key, scope_of(tasks, request))
        return snapshot_response(task, {"Location": f"{prefix_of(request)}/task-progress/{task.task_id}"})


def add_streams(router: APIRouter, tasks: "TaskStream") -> None:
    """The routes that stream."""
    stream: Options = {
        "response_class": Response,
        "response_model": None,
        "openapi_extra": openapi.STREAM_PARAMETERS,
    }

    @router.get("/tasks/{task_id}/stream", name="task_stream", responses=openapi.STREAM, **stream)
    @router.get("/task-progress/{task_id}", responses=openapi.STREAM, **stream)
    async def task_progress(request: Request, task_id: str) -> Response:
        """Stream a task: all that follows Last-Event-ID, then live, until its last snapshot."""
        return await tasks.stream(request, task_id, scope=scope_of(tasks, request))

    @router.get("/task-progress", responses=openapi.OVERVIEW, **stream)
    async def tasks_progress(request: Request, task_id: TaskIds) -> Response:
        """Stream many tasks at once: the latest snapshot of each, until all of them have ended."""
        return await tasks.stream_many(request, task_id, scope=scope_of(tasks, request))


def add_status(router: APIRouter, tasks: "TaskStream") -> None:
    """The routes that ask for a task, and cancel it."""

    @router.head("/tasks/{task_id}", include_in_schema=False)
    @router.head("/task-status/{task_id}", include_in_schema=False)
    @router.get("/tasks/{task_id}", name="task", response_model=Snapshot, responses=openapi.STATUS)
    @router.get("/task-status/{task_id}", response_model=Snapshot, responses=openapi.STATUS)
    async def task_status(request: Request, task_id: str) -> Response:
        """Answer the latest snapshot of a task."""
        return snapshot_response(await tasks.find(task_id, scope_of(tasks, request)))

    @router.post(
        "/tasks/{task_id}/cancel", name="task_cancel", response_model=Snapshot, responses=openapi.STATUS
    )
    @router.post("/cancel-task/{task_id}", response_model=Snapshot, responses=openapi.STATUS)
    async def cancel_task(request: Request, task_id: str) -> Response:
        """Ask a task to stop, and answer its snapshot; one that has ended stays as it is."""
        await tasks.find(task_id, scope_of(tasks, request))
        return snapshot_response(await tasks.registry.cancel(task_id))

    if not tasks.scoped:
        return  # ids are what one has to know

    @router.head("/tasks", include_in_schema=False)
    @router.get("/tasks", response_model=list[Snapshot], responses=openapi.UNAVAILABLE)
    async def list_tasks(
        request: Request, status: TaskStatus | None = None, limit: Limit = 100
    ) -> Response:
        """List the latest snapshots of one's own tasks, the newest task first."""
        snapshots = await tasks.registry.list(scope_of(tasks, request), status, limit)
        return Response(b"[%b]" % b",".join(snapshots), media_type="application/json")


def add_descriptions(router: APIRouter, tasks: "TaskStream") -> None:
    """The routes that tell what can be started, and the state of the server."""

    @router.head("/works", include_in_schema=False)
    @router.get("/works", response_model=list[WorkDescription])
    async def works() -> Response:
        """List what can be started, and the JSON Schema of its parameters; the first is the default."""
        described = [work.describe() for work in tasks.works.public.values()]
        return Response(to_json(described), media_type="application/json")

    @router.head("/health", include_in_schema=False)
    @router.get("/health", responses=openapi.UNAVAILABLE)
    async def health() -> Health:
        """Answer the state of the server."""
        total, running = await tasks.registry.count()
        open_streams = tasks.streams.counts.open
        return Health(backend=tasks.registry.backend, tasks=total, running=running, streams=open_streams)

    if find_spec("prometheus_client"):

        @router.head("/metrics", include_in_schema=False)
        @router.get("/metrics", response_class=Response, response_model=None, responses=openapi.METRICS)
        async def metrics() -> Response:
            """Answer all that is counted, in Prometheus' text format."""
            from taskstream.http.metrics import CONTENT_TYPE, render  # here, because it is optional

            statuses = await tasks.registry.count_by_status()
            text = render(tasks.streams, statuses, tasks.registry.events_published)
            return Response(text, media_type=CONTENT_TYPE)


def scope_of(tasks: "TaskStream", request: Request) -> str | None:
    """Whose a request is, which has been asked; `None` if that makes no difference."""
    return str(request.scope[SCOPE]) if tasks.scoped else None


def prefix_of(request: Request) -> str:
    """The prefix of the router in the URL of a request for `START`, percent-encoded."""
    root, path = request.scope.get("root_path", ""), str(request.scope["path"])
    # Servers put the root path before the path, proxies that strip it leave it away.
    return quote((path if path.startswith(f"{root}/") else root + path).removesuffix(START))


def snapshot_response(task: Task, headers: dict[str, str] | None = None) -> Response:
    """The latest snapshot, as it stands in the log."""
    return Response(task.log.latest, media_type="application/json", headers=headers)
