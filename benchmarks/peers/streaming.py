"""Starlette's StreamingResponse, given events that are encoded once for all viewers."""

import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from benchmarks.emission import Emission
from benchmarks.peers.tasks import Tasks, to_sse

app = FastAPI()
tasks = Tasks(to_sse)


@app.post("/start-task")
async def start_task(emission: Emission) -> dict[str, str]:
    """Start a task."""
    return tasks.start(emission)


@app.get("/task-progress/{task_id}")
async def task_progress(task_id: str) -> StreamingResponse:
    """Stream a task."""

    async def events() -> AsyncIterator[bytes]:
        with tasks.watch(task_id) as queue:
            while event := await queue.get():
                yield event

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/task-status/{task_id}")
async def task_status(task_id: str) -> dict[str, str]:
    """Say that there is a task."""
    return {"task_id": task_id}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log="--no-access-log" not in sys.argv)
