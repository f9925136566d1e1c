"""Who may watch: a task belongs to the session that has started it, and is 404 for everybody else.

    python examples/private_tasks.py           then open http://localhost:8000, also in a private window
    curl -i localhost:8000/own/tasks/<id>/stream

You see in each window its own tasks only: `TaskStream(scope=own_session)` is all that it takes. EventSource
can't send an `Authorization` header, but it sends cookies: so there is a session, here for everybody who
opens the page, in your application after a login. Its cookie is HttpOnly: no script can read it; SameSite:
other sites can't use it; and signed: the server keeps nothing for a session, so opening the page again and
again costs it nothing. One session has a few tasks at a time, or it could take all places. Pages of another
origin are refused, but for FRONT_END, which has to be of the same site (such as another port of this host).
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
from taskstream import TaskStream, Update

FRONT_END = os.environ.get("FRONT_END", "http://localhost:5173")
MAX_TASKS = 5  # of a session, that have not ended
KEY = secrets.token_bytes()  # yours comes from its settings, so that sessions outlive the process


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

tasks = TaskStream(scope=own_session, page=False)


@tasks.work(public=False)
async def wait(*, seconds: float) -> AsyncIterator[Update]:
    """Work that only waits."""
    for percent in range(5, 101, 5):
        await asyncio.sleep(seconds / 20)
        yield Update(percent, f"{percent} %")


app = FastAPI(dependencies=[Depends(from_our_pages)])
app.add_middleware(CORSMiddleware, allow_origins=[FRONT_END], allow_credentials=True, allow_methods=["*"])
app.include_router(tasks.router, prefix="/own")  # which lists, streams and cancels


@app.post("/tasks")
async def start_task(session: OwnSession, seconds: Annotated[float, Query(ge=0, le=3600)] = 5) -> str:
    """Start a task; its id."""
    own = await tasks.list(session, limit=tasks.settings.max_tasks)
    if sum(not task.status.ended for task in own) >= MAX_TASKS:
        raise HTTPException(429, f"You have {MAX_TASKS} tasks that have not ended.")
    return (await tasks.start(wait, seconds=seconds, scope=session)).task_id


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
