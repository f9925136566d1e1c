"""Start long-running tasks and stream their progress by Server-Sent Events.

Run it, then open http://localhost:8000, or run a client in a second terminal:

    python app.py
    python app.py --help        (every setting)
    uvicorn app:app --reload    (the settings as variables)
"""

import sys
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel

from taskstream.encoding import to_json
from taskstream.http.bodies import parameters_of, read_start_task
from taskstream.http.lifespan import SharedDependency, lifespan
from taskstream.http.openapi import (
    BAD_BODY,
    BUSY,
    NOT_FOUND,
    OVERVIEW,
    REQUEST_BODY,
    STREAM,
    UNAVAILABLE,
    App,
)
from taskstream.http.page import PageFiles, index
from taskstream.http.response import StreamResponse
from taskstream.http.streams import StreamsFull
from taskstream.log import Follower, Log, Overview, Viewer
from taskstream.registry import BackendUnavailable, RegistryFull, TaskNotFound
from taskstream.server.serve import serve
from taskstream.server.settings import Settings
from taskstream.tasks import Snapshot, Task

RETRY_AFTER_SECONDS = "5"
"""What a 503 tells the client to wait."""

LastEventID = Annotated[
    str | None, Header(alias="Last-Event-ID", description="what EventSource sends on reconnecting")
]

router = APIRouter()


def event_stream(viewer: Viewer, shared: SharedDependency) -> StreamResponse:
    """A response that lasts until the viewer has seen the end, has gone, or the server stops."""
    return StreamResponse(viewer, shared.streams, shared.settings.retry_milliseconds)


@router.post(
    "/start-task",
    response_model=Snapshot,
    responses=BAD_BODY | BUSY,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def start_task(request: Request, shared: SharedDependency) -> Response:
    """Start some work, and answer the first snapshot of its task."""
    body = await read_start_task(request)
    task = await shared.registry.start(body.work, parameters_of(body), body.name or body.work)
    location = f"{request.scope.get('root_path', '')}/task-progress/{task.task_id}"
    return snapshot_response(task, {"Location": location})


@router.get("/task-progress/{task_id}", response_class=Response, responses=STREAM)
@router.get("/tasks/{task_id}/stream", response_class=Response, responses=STREAM)
async def task_progress(
    task_id: str,
    shared: SharedDependency,
    last_event_id: LastEventID = None,
) -> Response:
    """Stream a task: all that follows Last-Event-ID, then live, until its last snapshot."""
    task = await shared.registry.get(task_id)
    after = task.log.parse_id(last_event_id)
    if task.ended and after == task.log.last_id:
        return Response(status_code=204)  # or EventSource would ask again, for ever
    return event_stream(Follower(task.log, after), shared)


@router.get("/task-progress", response_class=Response, responses=OVERVIEW)
async def tasks_progress(
    task_id: Annotated[list[str], Query(min_length=1, max_length=100)],
    shared: SharedDependency,
    last_event_id: LastEventID = None,
) -> Response:
    """Stream many tasks at once: the latest snapshot of each, until all of them have ended."""
    if last_event_id == "end":
        return Response(status_code=204)
    logs: list[Log] = []
    unknown: list[bytes] = []
    for each in task_id:
        try:
            logs.append((await shared.registry.get(each)).log)
        except TaskNotFound:
            unknown.append(b"event: unknown\ndata: %b\n\n" % to_json({"task_id": each}))
    return event_stream(Overview(logs, unknown), shared)


@router.get("/task-status/{task_id}", response_model=Snapshot, responses=NOT_FOUND | UNAVAILABLE)
async def task_status(task_id: str, shared: SharedDependency) -> Response:
    """Answer the latest snapshot of a task."""
    return snapshot_response(await shared.registry.get(task_id))


@router.post("/cancel-task/{task_id}", response_model=Snapshot, responses=NOT_FOUND | UNAVAILABLE)
async def cancel_task(task_id: str, shared: SharedDependency) -> Response:
    """Ask a task to stop, and answer its snapshot; one that has ended stays as it is."""
    return snapshot_response(await shared.registry.cancel(task_id))


def snapshot_response(task: Task, headers: dict[str, str] | None = None) -> Response:
    """The latest snapshot, as it stands in the log."""
    return Response(task.log.latest, media_type="application/json", headers=headers)


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok"] = "ok"
    backend: Literal["memory", "redis"]
    tasks: int
    running: int
    streams: int


@router.get("/health", responses=UNAVAILABLE)
async def health(shared: SharedDependency) -> Health:
    """Say that the server is well, and how much it has to do."""
    tasks, running = await shared.registry.count()
    backend = shared.registry.backend
    return Health(backend=backend, tasks=tasks, running=running, streams=shared.streams.open)


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def page() -> FileResponse:
    """The web page."""
    return index()


def create_app(settings: Settings) -> FastAPI:
    """The application with these settings."""
    app = App(title="Task progress", lifespan=lifespan, redirect_slashes=False)
    app.state.settings = settings
    # Middleware on the path of a stream has to be plain ASGI, as this one is: behind a function under
    # @app.middleware("http") a stream can't be carried by its connection.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin.strip() for origin in settings.cors_origins.split(",")],
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["Location", "Retry-After"],
    )
    app.include_router(router)
    app.mount("/static", PageFiles())

    @app.exception_handler(TaskNotFound)
    async def not_found(_: Request, error: TaskNotFound) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(RegistryFull)
    @app.exception_handler(StreamsFull)
    @app.exception_handler(BackendUnavailable)
    async def try_later(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": RETRY_AFTER_SECONDS})

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # Without the input, which FastAPI would echo: JSON can't hold all that it may be.
        fields = ("type", "loc", "msg")
        return JSONResponse(
            {"detail": [{field: each[field] for field in fields} for each in error.errors()]}, 422
        )

    return app


def main() -> None:
    """Serve with the settings of the command line."""
    settings = Settings.load(sys.argv[1:])
    serve(create_app(settings), settings.host, settings.port)


if __name__ == "__main__":
    main()
else:
    app = create_app(Settings.load())  # for `uvicorn app:app`
