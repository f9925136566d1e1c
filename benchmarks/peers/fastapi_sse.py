"""FastAPI's own Server-Sent Events: a path operation that yields `ServerSentEvent`s."""

import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

from benchmarks.emission import Emission, Piece, Snapshot
from benchmarks.peers.tasks import Tasks

app = FastAPI()
tasks: Tasks[tuple[int, Snapshot | Piece]] = Tasks(lambda number, data: (number, data))


@app.post("/start-task")
async def start_task(emission: Emission) -> dict[str, str]:
    """Start a task."""
    return tasks.start(emission)


@app.get("/task-progress/{task_id}", response_class=EventSourceResponse)
async def task_progress(task_id: str) -> AsyncIterator[ServerSentEvent]:
    """Stream a task."""
    with tasks.watch(task_id) as queue:
        while event := await queue.get():
            number, data = event
            yield ServerSentEvent(id=str(number), data=data)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]))
