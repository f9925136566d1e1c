"""An application with users: `python -m tests.support.scoped`; `celery -A tests.support.scoped worker`."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException

from taskstream import TaskStream, Update, current_task_id
from taskstream.server import serve

USERS = {"Bearer a": "alice", "Bearer b": "bob", "Bearer c": "bob's 🧀", "Bearer -": ""}


def bearer(authorization: Annotated[str, Header()] = "") -> str:
    """Who has sent the token of a user."""
    if (user := USERS.get(authorization)) is None:
        raise HTTPException(401, "Say who you are.")
    return user


async def user(name: Annotated[str, Depends(bearer)]) -> str:
    """Whose a request is: by way of a dependency that it has itself."""
    return name


tasks = TaskStream(
    scope=user,
    redis_url=os.environ.get("TASKSTREAM_REDIS_URL") or None,
    database=os.environ.get("TASKSTREAM_DATABASE") or None,
)


@tasks.work
async def wait(*, secret: str = "", seconds: float = 600) -> AsyncIterator[Update]:
    """Say something that is for its owner only, and wait."""
    yield Update(50, secret)
    await asyncio.sleep(seconds)


@tasks.work
async def parent() -> str:
    """Start a task, where this one runs."""
    return (await tasks.start(wait, seconds=0)).task_id


@tasks.work
def parent_in_thread() -> list[str]:
    """The same in a thread, and ask for it."""
    child = tasks.sync.start(wait, seconds=0)
    return [child.task_id, tasks.sync.get(child.task_id).name, str(current_task_id())]


app = FastAPI()
app.include_router(tasks.router)
celery = tasks.celery

if __name__ == "__main__":
    serve(app, port=0)
