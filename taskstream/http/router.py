"""The routes of a `TaskStream`, in the order in which a task lives."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response, routing
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from taskstream.errors import IDEMPOTENCY_KEY, NO_STORE, InvalidParameters
from taskstream.events import Snapshot, TaskStatus
from taskstream.http import openapi, page
from taskstream.http.bodies import StartTaskBodies, TaskIds, read_body
from taskstream.http.descriptions import add_descriptions
from taskstream.http.scopes import SCOPE, dependency_of

if TYPE_CHECKING:
    from taskstream.http.task_stream import TaskStream

START = "/start-task"
JSON = "application/json"
Options = dict[str, Any]

TaskIdQuery = Annotated[list[str], Query(alias="task_id", min_length=1, max_length=100)]
Limit = Annotated[int, Query(ge=1, le=1000)]

looked_up = attrgetter("dependencies", "query_params", "header_params", "cookie_params", "body_params")
"""What of a `Dependant` FastAPI finds out for each request."""


class TaskRoute(APIRoute):
    """A route whose answers are never cached, and which never echoes what was wrong in a request.

    Its endpoint is a coroutine function that returns a response. If a request needs nothing to be looked up
    for it, neither by the route nor by the routers that include it, it is called without FastAPI's help.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, whose answers and errors no cache may keep."""
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
            dependant = self._dependant_of(scope)
            if dependant is None or scope["method"] not in (self.methods or ()):
                await super().handle(scope, receive, send)
                return
            arguments: dict[str, Any] = {}
            if dependant.request_param_name:
                arguments[dependant.request_param_name] = Request(scope, receive, send)
            for field in dependant.path_params:
                arguments[field.name] = scope["path_params"][field.name]
            response = await self.endpoint(**arguments)
            response.headers.setdefault("Cache-Control", "no-store")
            await response(scope, receive, send)
        except HTTPException as error:
            raise uncached(error) from None

    def _dependant_of(self, scope: Scope) -> Any:  # noqa: ANN401 - FastAPI's names for it aren't public
        """What the endpoint takes, if nothing has to be looked up for it; `None` if that isn't certain."""
        with suppress(AttributeError):  # not where FastAPI has changed
            # What the route is in an application, the dependencies of the routers that include it counted.
            context: Any = routing._get_scope_effective_route_context(scope)
            if context.original_route is self and not any(looked_up(context.dependant)):
                return context.dependant
        return None


def uncached(error: HTTPException) -> HTTPException:
    """The error, whose answer no cache may keep, unless it says something else."""
    error.headers = {**NO_STORE, **(error.headers or {})}
    return error


def create_router(tasks: "TaskStream") -> APIRouter:
    """A router with all routes, and the lifespan, of a `TaskStream`."""
    router = APIRouter(route_class=TaskRoute, lifespan=tasks.lifespan, responses=openapi.EVERYWHERE)
    if tasks.scope is not None:
        router.dependencies = [dependency_of(tasks.scope)]
    add_start(router, tasks)
    add_streams(router, tasks)
    add_status(router, tasks)
    router.dependencies = []  # what follows is nobody's
    add_descriptions(router, tasks)
    if tasks.page:
        page.add_page(router, lists_tasks=tasks.scoped)
    page.add_files(router)
    router.route_class = APIRoute  # for what others may add
    return router


def add_start(router: APIRouter, tasks: "TaskStream") -> None:
    """The route that starts tasks."""
    bodies = StartTaskBodies(tasks.works)
    operation = openapi.StartTaskOperation(bodies)

    @router.post(
        START, response_model=Snapshot, responses=openapi.START, openapi_extra=cast("Options", operation)
    )
    async def start_task(request: Request) -> Response:
        """Start some work, and answer the first snapshot of its task."""
        work, body = bodies.parse(await read_body(request) or b"{}")
        key, scope = request.headers.get(IDEMPOTENCY_KEY), scope_of(tasks, request)
        task = await tasks.start_parsed(work, body, body.name, key, scope)
        root, path = request.scope.get("root_path", ""), str(request.scope["path"])
        # Servers put the root path before the path, proxies that strip it leave it away.
        prefix = quote((path if path.startswith(f"{root}/") else root + path).removesuffix(START))
        headers = {"Location": f"{prefix}/task-progress/{task.task_id}"}
        return Response(task.log.latest, headers=headers, media_type=JSON)


def add_streams(router: APIRouter, tasks: "TaskStream") -> None:
    """The routes that stream."""
    stream: Options = {"response_class": Response, "openapi_extra": openapi.STREAM_PARAMETERS}
    stream_of_body: Options = {**stream, "openapi_extra": openapi.STREAM_PARAMETERS | openapi.TASK_IDS}

    @router.get("/tasks/{task_id}/stream", name="task_stream", responses=openapi.STREAM, **stream)
    @router.get("/task-progress/{task_id}", responses=openapi.STREAM, **stream)
    async def task_progress(request: Request, task_id: str) -> Response:
        """Stream a task: all that follows Last-Event-ID, then live, until its last snapshot."""
        return await tasks.stream(request, task_id, scope=scope_of(tasks, request))

    @router.get("/task-progress", responses=openapi.OVERVIEW, **stream)
    async def tasks_progress(request: Request, task_id: TaskIdQuery) -> Response:
        """Stream many tasks at once: the latest snapshot of each, until all of them have ended."""
        return await tasks.stream_many(request, task_id, scope=scope_of(tasks, request))

    @router.post("/task-progress", responses=openapi.OVERVIEW | openapi.BODY, **stream_of_body)
    async def tasks_progress_by_body(request: Request) -> Response:
        """Stream many tasks at once: up to 1,000, whose ids are in the body."""
        task_ids = TaskIds.parse(await read_body(request))
        return await tasks.stream_many(request, task_ids, scope=scope_of(tasks, request))


def add_status(router: APIRouter, tasks: "TaskStream") -> None:
    """The routes that ask for a task, and cancel it."""

    @router.head("/tasks/{task_id}", include_in_schema=False)
    @router.head("/task-status/{task_id}", include_in_schema=False)
    @router.get("/tasks/{task_id}", name="task", response_model=Snapshot, responses=openapi.NOT_FOUND)
    @router.get("/task-status/{task_id}", response_model=Snapshot, responses=openapi.NOT_FOUND)
    async def task_status(request: Request, task_id: str) -> Response:
        """Answer the latest snapshot of a task."""
        task = await tasks.find(task_id, scope_of(tasks, request))
        return Response(task.log.latest, media_type=JSON)

    @router.post(
        "/tasks/{task_id}/cancel", name="task_cancel", response_model=Snapshot, responses=openapi.NOT_FOUND
    )
    @router.post("/cancel-task/{task_id}", response_model=Snapshot, responses=openapi.NOT_FOUND)
    async def cancel_task(request: Request, task_id: str) -> Response:
        """Ask a task to stop, and answer its snapshot; one that has ended stays as it is."""
        task = await tasks.find(task_id, scope_of(tasks, request))
        await tasks.registry.cancel(task)
        return Response(task.log.latest, media_type=JSON)

    if not tasks.scoped:
        return  # ids are what one has to know

    @router.head("/tasks", include_in_schema=False)
    @router.get("/tasks", response_model=list[Snapshot])
    async def list_tasks(
        request: Request, status: TaskStatus | None = None, limit: Limit = 100
    ) -> Response:
        """List the latest snapshots of one's own tasks, the newest task first."""
        snapshots = await tasks.registry.list(scope_of(tasks, request), status, limit)
        return Response(b"[%b]" % b",".join(snapshots), media_type=JSON)


def scope_of(tasks: "TaskStream", request: Request) -> str | None:
    """Whose a request is, as the scope's dependency has found; `None` if that makes no difference."""
    return str(request.scope[SCOPE]) if tasks.scoped else None
