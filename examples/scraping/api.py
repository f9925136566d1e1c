"""Scraping that a browser triggers and watches: a blocking function in a thread, and one route.

    python examples/scraping/run.py       builds the page, and serves both through nginx
    uvicorn examples.scraping.api:app     serves the API alone
    curl -N "localhost:8000/api/v1/scraping/trigger/stream?run=$(openssl rand -hex 16)&seconds=3"

You see `progress` events one by one, with the step (Login, Scraping, Analyzing) and its data, then
`completed`; with `&fail_at=50` it is `failed`. The README beside this file says why it is made as it is.
"""

import json
import secrets
import time
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Query, Request, Response

from taskstream import Event, TaskStatus, TaskStream, WorkError, report

QUOTES: list[str] = json.loads(Path(__file__).with_name("quotes.json").read_text(encoding="utf-8"))
EVENTS = {
    TaskStatus.PROGRESS: "progress",
    TaskStatus.SUCCESS: "completed",
    TaskStatus.FAILURE: "failed",
    TaskStatus.REVOKED: "failed",
}

tasks = TaskStream(max_tasks=100, work_threads=4)
app = FastAPI(lifespan=tasks.lifespan)


@tasks.work
def scrape(*, seconds: float, pages: int, fail_at: float | None) -> dict[str, int]:
    """Log in, find a quote on each page that is not easy to pass on, analyze them."""

    def stage(number: int, message: str, **data: object) -> None:
        progress = 100 * number / (pages + 2)
        report(progress, message, data)
        if fail_at is not None and progress >= fail_at:
            raise WorkError(f"Failed on purpose at {fail_at:g} %")
        time.sleep(seconds / (pages + 2))

    stage(0, "Login", session=secrets.token_hex(4))
    for page in range(1, pages + 1):
        quote = QUOTES[(page - 1) % len(QUOTES)]
        stage(page, f"Scraping page {page} of {pages}", page=page, pages=pages, quote=quote)
    stage(pages + 1, "Analyzing", quotes=10 * pages)
    return {"pages": pages, "quotes": 10 * pages}


@app.get("/api/v1/scraping/trigger/stream")
async def trigger_stream(
    request: Request,
    run: Annotated[str, Query(pattern="^[0-9a-f]{32}$")],
    seconds: Annotated[float, Query(ge=0, le=3600)] = 5,
    pages: Annotated[int, Query(ge=1, le=1000)] = 7,
    fail_at: Annotated[float | None, Query(ge=0, le=100)] = None,
    sec_fetch_site: Annotated[str, Header()] = "",
) -> Response:
    """Trigger the run with this id, unless that has been done; stream what follows Last-Event-ID."""
    if sec_fetch_site == "cross-site":
        raise HTTPException(403, "Scraping can only be triggered from our own pages.")
    task = await tasks.start(scrape, idempotency_key=run, seconds=seconds, pages=pages, fail_at=fail_at)
    return await tasks.stream(request, task.task_id, name_event)


def name_event(event: Event) -> tuple[str, object] | None:
    """The name that the page listens to, and what it shows; nothing before the first step."""
    snapshot = event.snapshot
    if snapshot is None or snapshot.status not in EVENTS:
        return None
    return EVENTS[snapshot.status], {
        "step": snapshot.message.partition(" ")[0],
        "message": snapshot.message,
        "progress": snapshot.progress,
        "data": snapshot.data,
    }
