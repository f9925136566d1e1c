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

from taskstream import TaskStream, Update, WorkError, report
from taskstream.server import ServerSettings, serve

Seconds = Annotated[float, Field(ge=0, le=3600, description="how long it takes, in seconds")]
Steps = Annotated[int, Field(ge=1, le=1000, description="in how many steps (or pages)")]
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
def scraping(*, seconds: Seconds = 5, steps: Steps = 20, fail_at: Percent | None = None) -> dict[str, int]:
    """Blocking work in stages: log in, scrape `steps` pages, analyze what was found."""

    def stage(done: int, message: str, **details: object) -> None:
        progress = 100 * done / (steps + 2)
        report(progress, message, details)
        fail_on_request(progress, fail_at)
        time.sleep(seconds / (steps + 2))

    quotes = 0
    stage(0, "Login", user="reader")
    for page in range(1, steps + 1):
        stage(page, f"Scraping page {page} of {steps}", page=page, pages=steps, quotes=quotes)
        quotes += 10
    stage(steps + 1, "Analyzing", quotes=quotes)
    fail_on_request(100, fail_at)
    return {"pages": steps, "quotes": quotes}


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
    # Middleware on the path of a stream has to be plain ASGI, as this one is: behind a function under
    # @app.middleware("http") a stream can't be carried by its connection.
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
