"""Scraping that a browser triggers and watches, by the blocking scraper of work.py in a thread.

    python examples/scraping/run.py       builds the page, and serves both through nginx
    uvicorn examples.scraping.api:app     serves the API alone
    curl -N 'localhost:8000/api/v1/scraping/trigger/stream?seconds=3'

You see `progress` events one by one, with the step (Login, Scraping, Analyzing) and its data, then
`completed`; with `&fail_at=50` it is `failed`. The README beside this file says why it is made as it is.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated
from weakref import WeakValueDictionary

from fastapi import FastAPI, Header, HTTPException, Query, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from taskstream.encoding import to_json
from taskstream.log import Follower
from taskstream.registry import Registry, RegistryFull
from taskstream.tasks import Task, Updates
from taskstream.threads import Report, WorkThreads
from taskstream.work import Percent, Seconds, Steps, scraping

QUOTES: list[str] = json.loads(Path(__file__).with_name("quotes.json").read_text(encoding="utf-8"))
EVENTS = {"PROGRESS": "progress", "SUCCESS": "completed", "FAILURE": "failed", "REVOKED": "failed"}


def scrape(report: Report, *, seconds: float, steps: int, fail_at: float | None) -> object:
    """The scraper of work.py, which finds on each page a quote that is not easy to pass on."""

    def report_quote(progress: float, message: str, data: object = None) -> None:
        if isinstance(data, dict) and "page" in data:
            data["quote"] = QUOTES[(data["page"] - 1) % len(QUOTES)]
        report(progress, message, data)

    return scraping(report_quote, seconds=seconds, steps=steps, fail_at=fail_at)


async def begin(_: str, parameters: Mapping[str, object]) -> Updates:
    """Run the scraper in a thread, as soon as there is one for it."""
    return await threads.run(scrape, parameters)


app = FastAPI()
threads = WorkThreads(limit=4)
registry = Registry(begin, max_tasks=100)
runs: WeakValueDictionary[str, Task] = WeakValueDictionary()  # until the registry forgets them
starting = asyncio.Lock()


@app.get("/api/v1/scraping/trigger/stream")
async def trigger_stream(
    run: Annotated[str, Query(pattern="^[0-9a-f]{32}$")] = "",
    seconds: Seconds = 5,
    pages: Steps = 7,
    fail_at: Percent | None = None,
    last_event_id: Annotated[str, Header()] = "",
    sec_fetch_site: Annotated[str, Header()] = "",
) -> Response:
    """Trigger the run with this id, unless that has been done; stream what follows Last-Event-ID."""
    if sec_fetch_site == "cross-site":
        raise HTTPException(403, "Scraping can only be triggered from our own pages.")
    seen_run, _, number = last_event_id.partition("-")
    async with starting:
        if (task := runs.get(run or seen_run)) is None:
            parameters = {"seconds": seconds, "steps": pages, "fail_at": fail_at}
            try:
                task = await registry.start("scraping", parameters, "scraping")
            except RegistryFull as error:
                raise HTTPException(503, str(error), {"Retry-After": "5"}) from None
            run = run or task.task_id
            runs[run] = task
    after = task.log.parse_id(number)
    if task.ended and after == task.log.last_id:
        return Response(status_code=204)
    return EventSourceResponse(named_events(run or seen_run, task, after))


async def named_events(run: str, task: Task, after: int) -> AsyncIterator[ServerSentEvent]:
    """What follows in the log of a task, under the names that the page listens to."""
    with Follower(task.log, after) as viewer:
        while events := await viewer.read():
            for event in events.decode().split("\n\n")[:-1]:
                number, snapshot = event.removeprefix("id: ").split("\ndata: ")
                fields = json.loads(snapshot)
                if name := EVENTS.get(fields["status"]):
                    data = {key: fields[key] for key in ("message", "progress", "data")}
                    data["step"] = fields["message"].partition(" ")[0]
                    yield ServerSentEvent(to_json(data).decode(), event=name, id=f"{run}-{number}")
