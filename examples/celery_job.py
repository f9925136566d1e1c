"""A job on a Celery queue, a bar that follows it, and a title that says when it has succeeded.

    redis-server
    celery -A examples.celery_job:celery worker
    python examples/celery_job.py                   then open http://localhost:8000

    curl -X POST 'localhost:8000/?steps=10&seconds=0.2'
    curl -N localhost:8000/stream/<job_id>

You see the bar move by a step every half second, on the page or as bare numbers. Stop the server in the
middle and start it again: the job has gone on in the worker, and the page with it. TASKSTREAM_REDIS_URL
names another Redis than the one on this machine.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that a clone needs no installation

from examples.serving import run
from taskstream import Event, Snapshot, TaskStatus, TaskStream, Update

tasks = TaskStream(
    redis_url=os.environ.get("TASKSTREAM_REDIS_URL", "redis://localhost"), namespace="celery-job"
)
celery = tasks.celery
app = FastAPI(lifespan=tasks.lifespan)


@tasks.work
async def job(*, steps: int, seconds: float) -> AsyncIterator[Update]:
    """So many steps, so many seconds apart."""
    for step in range(1, steps + 1):
        await asyncio.sleep(seconds)
        yield Update(100 * step / steps, f"Step {step} of {steps}")


@app.post("/")
async def start_job(
    steps: Annotated[int, Query(ge=1, le=1000)] = 100,
    seconds: Annotated[float, Query(ge=0, le=3.6)] = 0.5,
) -> dict[str, str]:
    """Start a job."""
    snapshot = await tasks.start(job, steps=steps, seconds=seconds)
    return {"job_id": snapshot.task_id}


@app.get("/stream/{job_id}")
async def stream(request: Request, job_id: str) -> Response:
    """Send the job's progress, and at the end that it has succeeded, or why not."""
    return await tasks.stream(request, job_id, name_event)


def name_event(event: Event) -> tuple[str, object] | None:
    """The name and the data under which the page gets a snapshot; other events are left out."""
    match event.snapshot:
        case None:
            return None
        case Snapshot(status=TaskStatus.SUCCESS):
            return "success", "Job Succeeded"
        case Snapshot(status=TaskStatus.FAILURE | TaskStatus.REVOKED, message=message):
            return "failure", message
        case Snapshot(progress=progress):
            return "progress", progress


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page: a button, a bar, a title."""
    return FileResponse(Path(__file__).with_suffix(".html"))


if __name__ == "__main__":
    run(app, "Start jobs on a Celery queue, and show their progress.")
