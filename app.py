"""Start long-running tasks and stream their progress by Server-Sent Events.

Run it, then open http://localhost:8000, or run a client in a second terminal:

    python app.py
    python app.py --help        (every setting)
    uvicorn app:app --reload    (the settings as variables)
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import Field

from taskstream import TaskStream, Update, WorkError, report, track
from taskstream.server import ServerSettings, serve

Seconds = Annotated[float, Field(ge=0, le=3600, description="how long it takes, in seconds")]
Steps = Annotated[int, Field(ge=1, le=1000, description="in how many steps")]
Pages = Annotated[int, Field(ge=1, le=1000, description="how many pages")]
Percent = Annotated[float, Field(ge=0, le=100, description="where to fail on purpose, in percent")]

tasks = TaskStream()


@tasks.work
async def simulated(
    *, seconds: Seconds = 5, steps: Steps = 20, fail_at: Percent | None = None
) -> AsyncIterator[Update]:
    """Work that only waits: equal steps, and a failure on request."""
    for step in range(1, steps + 1):
        await asyncio.sleep(seconds / steps)
        progress = 100 * step / steps
        yield Update(progress, f"Step {step} of {steps}")
        fail_on_request(progress, fail_at)


@tasks.work
def scraping(*, seconds: Seconds = 5, steps: Pages = 20, fail_at: Percent | None = None) -> dict[str, int]:
    """Blocking work in stages: log in, scrape some pages, analyze what was found."""
    pause = seconds / (steps + 2)
    report(None, "Login", {"user": "reader"})
    time.sleep(pause)
    for page in track(range(1, steps + 1), "Pages", unit="pages"):
        details = {"page": page, "pages": steps, "quotes": 10 * (page - 1)}
        report(None, f"Scraping page {page} of {steps}", details)
        fail_on_request(100 * (page - 1) / steps, fail_at)
        time.sleep(pause)
    report(None, "Analyzing", {"quotes": 10 * steps})
    fail_on_request(100, fail_at)
    time.sleep(pause)
    return {"pages": steps, "quotes": 10 * steps}


def fail_on_request(progress: float, fail_at: float | None) -> None:
    """Raise `WorkError` at or after `fail_at` percent."""
    if fail_at is not None and progress >= fail_at:
        raise WorkError(f"Failed on purpose at {progress:.0f} %")


app = FastAPI(title="Task progress", redirect_slashes=False)
app.include_router(tasks.router)
celery = tasks.celery  # for workers on other machines: celery -A app:celery worker


def configure(settings: ServerSettings) -> ServerSettings:
    """Take the settings, before the application starts."""
    tasks.configure(**settings.of_tasks)
    # Starlette's own: behind one that may want to see bodies, such as a function under
    # @app.middleware("http"), a stream can't be carried by its connection.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["Location", "Retry-After"],
    )
    return settings


def main() -> None:
    """Serve with the settings of the command line."""
    settings = configure(ServerSettings.load(sys.argv[1:]))
    serve(app, settings.host, settings.port, settings.hosts, access_log=settings.access_log)


if __name__ == "__main__":
    main()
else:
    configure(ServerSettings.load())  # for uvicorn and celery: from the variables
