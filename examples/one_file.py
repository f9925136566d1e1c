"""The whole idea in one file: work runs once, in a task, and any number of viewers read the task's log.

Run `python examples/one_file.py`, and in other terminals `python client.py`. `/docs` says the rest.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Response
from sse_starlette import EventSourceResponse, JSONServerSentEvent

app = FastAPI()
Snapshot = dict[str, str | int]
tasks: dict[str, list[Snapshot]] = {}  # the log of each, here for ever: forget it some time after its end
running: dict[str, asyncio.Task[None]] = {}  # or they could be collected as garbage in the middle
appended = asyncio.Event()


async def work() -> AsyncIterator[Snapshot]:
    """Some work: it yields how far it is, and in the end how it went."""
    try:
        for step in range(10):
            yield Snapshot(status="PROGRESS", progress=10 * step, message=f"Step {step + 1} of 10")
            await asyncio.sleep(0.5)
        yield Snapshot(status="SUCCESS", progress=100, message="Done")
    except Exception:
        yield Snapshot(status="FAILURE", message="The work failed")
        raise


async def run(log: list[Snapshot]) -> None:
    """Advance the work, whoever watches: append what it yields to the log, and wake the viewers."""
    async for update in work():
        log.append(log[-1] | update)
        appended.set()  # wakes all who wait at this moment …
        appended.clear()  # … and those who come later wait for the next event


async def follow(log: list[Snapshot], seen: int) -> AsyncIterator[JSONServerSentEvent]:
    """The events after the first so many: those that are in the log, then each as it comes."""
    while seen < len(log) or log[-1]["status"] not in ("SUCCESS", "FAILURE"):
        while seen == len(log):
            await appended.wait()
        seen += 1
        yield JSONServerSentEvent(log[seen - 1], id=str(seen))


@app.post("/start-task")
async def start_task() -> Snapshot:
    """Start a task, which needs no viewer; its first event."""
    task_id = secrets.token_hex(16)
    tasks[task_id] = [Snapshot(task_id=task_id, name="work", status="PENDING", progress=0, message="")]
    running[task_id] = asyncio.create_task(run(tasks[task_id]))
    running[task_id].add_done_callback(lambda _: running.pop(task_id))
    return tasks[task_id][0]


@app.get("/task-progress/{task_id}")
async def stream(task_id: str, last_event_id: str = Header("")) -> Response:
    """The events of a task: all, or those after the last one that a viewer saw before it reconnected."""
    if not (log := tasks.get(task_id)):
        raise HTTPException(404, "There is no such task.")
    seen = int(last_event_id) if last_event_id in map(str, range(len(log) + 1)) else 0
    if seen == len(log) and log[-1]["status"] in ("SUCCESS", "FAILURE"):
        return Response(status_code=204)  # which tells EventSource not to reconnect
    return EventSourceResponse(follow(log, seen))


@app.get("/task-status/{task_id}")
async def status(task_id: str) -> Snapshot:
    """The latest event of a task."""
    if log := tasks.get(task_id):
        return log[-1]
    raise HTTPException(404, "There is no such task.")


if __name__ == "__main__":
    uvicorn.run(app)
