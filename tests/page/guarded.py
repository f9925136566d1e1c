"""Another application, whose tasks want a header: `python -m tests.page.guarded`."""

import sys
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import FileResponse

from app import simulated
from taskstream import TaskStream
from taskstream.server import ServerSettings, serve

settings = ServerSettings.load(sys.argv[1:] if __name__ == "__main__" else None)


def check(authorization: Annotated[str, Header()] = "") -> None:
    """Refuse whoever has not signed in."""
    if authorization != "Bearer good":
        raise HTTPException(401, "Sign in first.")


tasks = TaskStream(page=False, namespace="guarded", **settings.of_tasks)
tasks.work(simulated)
celery = tasks.celery

app = FastAPI()
app.include_router(tasks.router, prefix="/jobs", dependencies=[Depends(check)])


@app.get("/")
async def page() -> FileResponse:
    """The page, which shows the task that its address names."""
    return FileResponse(Path(__file__).parent / "guarded.html")


if __name__ == "__main__":
    serve(app, settings.host, settings.port)
