"""A job on a Celery queue, a bar that follows it, and a title that says when it has succeeded.

    redis-server
    PROGRESS_REDIS_URL=redis://localhost celery -A distributed worker --queues default
    PROGRESS_REDIS_URL=redis://localhost python examples/celery_job.py      then open http://localhost:8000

    curl -X POST 'localhost:8000/?steps=10&seconds=0.2'
    curl -N localhost:8000/stream/<job_id>

You see the bar move by a step every half second, on the page or as bare numbers. Stop the server in the
middle and start it again: the job has gone on in the worker, and the page with it.
"""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

sys.path.insert(0, str(Path(__file__).parent.parent))  # where redis_registry.py and its neighbours are

from taskstream.log import Follower
from taskstream.redis.registry import RedisRegistry
from taskstream.registry import BackendUnavailable, TaskNotFound

REDIS_URL = os.environ.get("PROGRESS_REDIS_URL", "redis://localhost")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, RedisRegistry]]:
    """Submit to the queue `default`, and read what its workers say."""
    registry = RedisRegistry(
        REDIS_URL, queue="default", retention_seconds=300, max_tasks=1000, history_length=1000
    )
    yield {"registry": registry}
    await registry.close()


app = FastAPI(lifespan=lifespan)


@app.exception_handler(BackendUnavailable)
async def unavailable(_: Request, error: BackendUnavailable) -> JSONResponse:
    """Say that Redis can't be reached."""
    return JSONResponse({"detail": str(error)}, 503)


@app.post("/")
async def start_job(
    request: Request,
    steps: Annotated[int, Query(ge=1, le=1000)] = 100,
    seconds: Annotated[float, Query(ge=0, le=3.6)] = 0.5,
) -> dict[str, str]:
    """Start a job of so many steps, so many seconds apart."""
    parameters = {"steps": steps, "seconds": steps * seconds}
    task = await request.state.registry.start("simulated", parameters, "job")
    return {"job_id": task.task_id}


@app.get("/stream/{job_id}")
async def stream(job_id: str, request: Request, last_event_id: Annotated[str, Header()] = "") -> Response:
    """Send the job's progress, and at the end that it has succeeded, or why not."""
    try:
        task = await request.state.registry.get(job_id)
    except TaskNotFound as error:
        raise HTTPException(404, str(error)) from None
    after = task.log.parse_id(last_event_id)
    if task.ended and after == task.log.last_id:
        return Response(status_code=204)
    return EventSourceResponse(events(Follower(task.log, after)))


async def events(follower: Follower) -> AsyncIterator[ServerSentEvent]:
    """The snapshots in a job's log, as events that a page can use as they are."""
    with follower:
        while pieces := await follower.read():
            for block in pieces.decode().removesuffix("\n\n").split("\n\n"):
                event_id, data = (line.partition(": ")[2] for line in block.split("\n"))
                snapshot = json.loads(data)
                match snapshot["status"]:
                    case "SUCCESS":
                        yield ServerSentEvent("Job Succeeded", event="success", id=event_id)
                    case "FAILURE" | "REVOKED":
                        yield ServerSentEvent(snapshot["message"], event="failure", id=event_id)
                    case _:
                        yield ServerSentEvent(snapshot["progress"], event="progress", id=event_id)


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page: a button, a bar, a title."""
    return FileResponse(Path(__file__).with_suffix(".html"))


if __name__ == "__main__":
    uvicorn.run(app, port=8000)
