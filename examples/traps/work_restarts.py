"""The work restarts when the browser reconnects.

    python examples/traps/work_restarts.py

Question: Why does the bar go back to zero when the browser reconnects?
Symptom:  after a reload, or two seconds in a tunnel, the bar stands at zero again, and the report has
          been written twice. Two tabs: twice as well. Without a viewer: not at all.
Cause:    the work runs inside the generator of the stream, so every connection is a new run.
Cure:     start the work once, and let it append its events to a log; a stream only reads the log, from
          the event after Last-Event-ID.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()
runs = itertools.count(1)


async def work() -> AsyncIterator[ServerSentEvent]:
    """Five steps, each of which costs money."""
    run = next(runs)
    print(f"work: run {run} starts")
    for step in range(1, 6):
        await asyncio.sleep(0.2)
        yield ServerSentEvent(f"run {run}, step {step}", id=str(step))


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Run the work for this connection."""
    return EventSourceResponse(work())


class Job:
    """One run of the work, independent of its viewers, and its events so far."""

    def __init__(self) -> None:
        self.events: list[ServerSentEvent] = []
        self.appended = asyncio.Condition()
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        """Append what the work yields."""
        async for event in work():
            self.events.append(event)
            async with self.appended:
                self.appended.notify_all()

    async def follow(self, seen: int) -> AsyncIterator[ServerSentEvent]:
        """The events after the first `seen`."""
        for number in range(seen, 5):
            async with self.appended:
                while len(self.events) == number:
                    await self.appended.wait()
            yield self.events[number]


jobs: dict[str, Job] = {}


@app.get("/fixed")
async def fixed(job: str = "1", last_event_id: Annotated[int, Header()] = 0) -> Response:
    """Start this job unless it has been started, and show the rest of it."""
    if job not in jobs:
        jobs[job] = Job()
    if last_event_id >= 5:
        return Response(status_code=204)
    return EventSourceResponse(jobs[job].follow(last_event_id))


SCENARIO = {"cut_after": 3, "connections": 2}

if __name__ == "__main__":
    from show import show

    show(__file__)
