"""Who may watch: a task belongs to the session that has started it, and is 404 for everybody else.

    python examples/private_tasks.py           then open http://localhost:8000, also in a private window
    curl -i localhost:8000/tasks/<id>/stream

You see in each window its own tasks only. EventSource can't send an `Authorization` header, but it sends
cookies: so there is a session, here for everybody who opens the page, in your application after a login.
Its cookie is HttpOnly: no script can read it; SameSite: other sites can't use it; and signed: the server
keeps nothing for a session, so opening the page again and again costs it nothing. Pages of another origin
are refused, but for FRONT_END, which has to be of the same site (such as another port of this host).
"""

import asyncio
import hmac
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that a clone needs no installation

from examples.serving import run
from taskstream import Snapshot, TaskNotFound, TaskStream, Update

FRONT_END = os.environ.get("FRONT_END", "http://localhost:5173")
KEY = secrets.token_bytes()  # yours comes from its settings, so that sessions outlive the process

tasks = TaskStream(max_tasks=1000)
owners: dict[str, str] = {}  # the session of each task


@tasks.work
async def wait(*, seconds: float) -> AsyncIterator[Update]:
    """Work that only waits."""
    for percent in range(5, 101, 5):
        await asyncio.sleep(seconds / 20)
        yield Update(percent, f"{percent} %")


async def from_our_pages(request: Request, origin: Annotated[str, Header()] = "") -> None:
    """Refuse what a page of another origin asks for."""
    if origin and origin not in (FRONT_END, str(request.base_url).rstrip("/")):
        raise HTTPException(403, "This is not for pages of other origins.")


def signed(session: str) -> str:
    """A session as its cookie has it: with a signature, so that nobody can make up one."""
    return f"{session}.{hmac.new(KEY, session.encode(), 'sha256').hexdigest()}"


def is_ours(cookie: str) -> bool:
    """Whether we have given out this cookie."""
    return hmac.compare_digest(signed(cookie.partition(".")[0]).encode(), cookie.encode())


async def own_session(session: Annotated[str, Cookie()] = "") -> str:
    """The session, which has to be one that we have given out."""
    if is_ours(session):
        return session
    raise HTTPException(404, "There is nothing here without a session.")


OwnSession = Annotated[str, Depends(own_session)]


async def own_task(task_id: str, session: OwnSession) -> str:
    """The id of a task, if it is one of the session's."""
    if owners.get(task_id) == session:
        return task_id
    raise HTTPException(404, "You have no such task.")


OwnTask = Annotated[str, Depends(own_task)]

app = FastAPI(lifespan=tasks.lifespan, dependencies=[Depends(from_our_pages)])
app.add_middleware(CORSMiddleware, allow_origins=[FRONT_END], allow_credentials=True, allow_methods=["*"])


@app.post("/tasks")
async def start_task(session: OwnSession, seconds: Annotated[float, Query(ge=0, le=3600)] = 5) -> str:
    """Start a task; its id."""
    task = await tasks.start(wait, seconds=seconds)
    owners[task.task_id] = session
    if len(owners) > 2 * tasks.settings.max_tasks:
        await forget_owners()
    return task.task_id


async def forget_owners() -> None:
    """Forget the owners of tasks that have been forgotten."""
    for task_id in list(owners):
        try:
            await tasks.get(task_id)
        except TaskNotFound:
            del owners[task_id]


@app.get("/tasks")
async def list_tasks(session: OwnSession) -> list[str]:
    """The ids of one's tasks."""
    return [task_id for task_id, owner in owners.items() if owner == session]


@app.get("/tasks/{task_id}/stream")
async def stream(request: Request, task_id: OwnTask) -> Response:
    """Stream one's task."""
    return await tasks.stream(request, task_id)


@app.post("/tasks/{task_id}/cancel")
async def cancel_task(task_id: OwnTask) -> Snapshot:
    """Cancel one's task."""
    return await tasks.cancel(task_id)


@app.get("/", include_in_schema=False)
async def page(request: Request, session: Annotated[str, Cookie()] = "") -> Response:
    """The page, and a session unless there is one."""
    response = FileResponse(Path(__file__).with_suffix(".html"), headers={"Cache-Control": "no-store"})
    if not is_ours(session):
        session, https = signed(secrets.token_urlsafe()), request.url.scheme == "https"
        response.set_cookie("session", session, httponly=True, samesite="lax", secure=https)
    return response


if __name__ == "__main__":
    run(app, "Start tasks that only their owner can watch.")
