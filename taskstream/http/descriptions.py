"""The routes that tell what can be started, and the state of the server."""

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from taskstream.encoding import to_json
from taskstream.http import openapi
from taskstream.work import Work

if TYPE_CHECKING:
    from taskstream.http.task_stream import TaskStream


class WorkDescription(BaseModel):
    """Some work that can be started."""

    name: str
    description: str
    kind: Literal["async", "blocking"]
    parameters: dict[str, Any]


class Health(BaseModel):
    """The state of the server."""

    status: Literal["ok"] = "ok"
    backend: Literal["memory", "sqlite", "redis"]
    tasks: int
    running: int
    streams: int
    warning: str | None = None


def add_descriptions(router: APIRouter, tasks: "TaskStream") -> None:
    """The routes that tell what can be started, and the state of the server."""

    @cache  # else it would block the loop for 0.3 ms a work
    def described(*works: Work) -> bytes:
        return to_json([work.describe() for work in works])

    @router.head("/works", include_in_schema=False)
    @router.get("/works", response_model=list[WorkDescription])
    async def works() -> Response:
        """List what can be started, and the JSON Schema of its parameters; the first is the default."""
        return Response(described(*tasks.works.public.values()), media_type="application/json")

    @router.head("/health", include_in_schema=False)
    @router.get("/health", response_model=Health)
    async def health() -> Response:
        """Answer the state of the server."""
        total, running = await tasks.registry.count()
        now = Health(
            backend=tasks.registry.backend,
            tasks=total,
            running=running,
            streams=tasks.streams.open,
            warning=tasks.registry.warning or None,
        )
        return Response(now.model_dump_json(exclude_none=True), media_type="application/json")

    if find_spec("prometheus_client"):

        @router.head("/metrics", include_in_schema=False)
        @router.get("/metrics", response_class=Response, responses=openapi.METRICS)
        async def metrics() -> Response:
            """Answer all that is counted, in Prometheus' text format."""
            from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # here: it is optional

            from taskstream.http.metrics import Numbers

            statuses = await tasks.registry.count_by_status()
            numbers = Numbers(tasks.streams, statuses, tasks.registry.events_published)
            return Response(generate_latest(numbers), media_type=CONTENT_TYPE_LATEST)
