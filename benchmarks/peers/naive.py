"""The generator of every tutorial: a dict for each viewer, which sse-starlette encodes each time."""

import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from sse_starlette import EventSourceResponse

from benchmarks.emission import Emission, Piece, Snapshot
from benchmarks.peers.tasks import Tasks, to_json

app = FastAPI()
tasks: Tasks[tuple[int, Snapshot | Piece]] = Tasks(lambda number, data: (number, data))


@app.post("/start-task")
async def start_task(emission: Emission) -> dict[str, str]:
    """Start a task."""
    return tasks.start(emission)


@app.get("/task-progress/{task_id}")
async def task_progress(task_id: str) -> EventSourceResponse:
    """Stream a task."""

    async def events() -> AsyncIterator[dict[str, str]]:
        with tasks.watch(task_id) as queue:
            while event := await queue.get():
                number, data = event
                yield {"id": str(number), "data": to_json(data)}

    return EventSourceResponse(events())


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]))
