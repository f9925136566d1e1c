"""Who may watch: a task belongs to the session that has started it, and is 404 for everybody else.

    python examples/private_tasks.py           then open http://localhost:8000, also in a private window
    curl -i localhost:8000/tasks/<id>/stream

You see in each window its own tasks only. EventSource can't send an `Authorization` header, but it sends
cookies: so there is a session, here for whoever opens the page, in your application for who has logged in.
Its cookie is HttpOnly: no script can read it; and SameSite: other sites can't use it. Pages of another
origin are refused, but for FRONT_END, which has to be of the same site (such as another port of this host).
"""

import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated
from weakref import WeakValueDictionary

import uvicorn
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from sse_starlette import EventSourceResponse

sys.path.insert(0, str(Path(__file__).parent.parent))  # where tasks.py and its neighbours are

from taskstream.log import Follower
from taskstream.registry import Registry
from taskstream.tasks import Task
from taskstream.threads import WorkThreads
from taskstream.work import Seconds, make_begin

FRONT_END = os.environ.get("FRONT_END", "http://localhost:5173")

Tasks = WeakValueDictionary[str, Task]  # by id, until the registry forgets them
sessions: dict[str, Tasks] = {}
registry = Registry(make_begin(WorkThreads(limit=4)))


async def from_our_pages(request: Request, origin: Annotated[str, Header()] = "") -> None:
    """Refuse what a page of another origin asks for."""
    if origin and origin not in (FRONT_END, str(request.base_url).rstrip("/")):
        raise HTTPException(403, "This is not for pages of other origins.")


async def own_tasks(session: Annotated[str, Cookie()] = "") -> Tasks:
    """The tasks of the session, which has to be one that we have given out."""
    if session not in sessions:
        raise HTTPException(404, "There is nothing here without a session.")
    return sessions[session]


OwnTasks = Annotated[Tasks, Depends(own_tasks)]


async def own_task(task_id: str, tasks: OwnTasks) -> Task:
    """The task with this id, if it is one of the session's."""
    if task := tasks.get(task_id):
        return task
    raise HTTPException(404, "You have no such task.")


OwnTask = Annotated[Task, Depends(own_task)]

app = FastAPI(dependencies=[Depends(from_our_pages)])
app.add_middleware(CORSMiddleware, allow_origins=[FRONT_END], allow_credentials=True, allow_methods=["*"])


@app.post("/tasks")
async def start_task(tasks: OwnTasks, seconds: Seconds = 5) -> str:
    """Start a task; its id."""
    task = await registry.start("simulated", {"seconds": seconds}, "private")
    tasks[task.task_id] = task
    return task.task_id


@app.get("/tasks")
async def list_tasks(tasks: OwnTasks) -> list[str]:
    """The ids of one's tasks."""
    return list(tasks)


async def events(viewer: Follower) -> AsyncIterator[bytes]:
    """What follows in a log."""
    with viewer:
        while events := await viewer.read():
            yield events


@app.get("/tasks/{task_id}/stream")
async def stream(task: OwnTask, last_event_id: Annotated[str, Header()] = "") -> Response:
    """Stream one's task."""
    after = task.log.parse_id(last_event_id)
    if task.ended and after == task.log.last_id:
        return Response(status_code=204)
    return EventSourceResponse(events(Follower(task.log, after)))


@app.post("/tasks/{task_id}/cancel")
async def cancel_task(task: OwnTask) -> None:
    """Cancel one's task."""
    await registry.cancel(task.task_id)


@app.get("/", include_in_schema=False)
async def page(request: Request, session: Annotated[str, Cookie()] = "") -> Response:
    """The page, and a session unless there is one."""
    response = FileResponse(Path(__file__).with_suffix(".html"), headers={"Cache-Control": "no-store"})
    if session not in sessions:
        session = secrets.token_urlsafe()
        sessions[session] = Tasks()
        https = request.url.scheme == "https"
        response.set_cookie("session", session, httponly=True, samesite="lax", secure=https)
    return response


if __name__ == "__main__":
    uvicorn.run(app, port=8000)
