"""Two functions, one after the other, as named events with ids: a lost connection goes on where it was.

    python examples/named_events.py       then open http://localhost:8000/?seconds=1
    curl -N localhost:8000/stream
    curl -N localhost:8000/stream -H 'Last-Event-ID: <the last id that you have seen>'

You see function1 start, report and end, then function2, then `close`. Stop curl in the middle: the second
command shows what you have missed, then the rest. `uvicorn examples.named_events:app` works as well.
"""

import argparse
import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, Query, Response
from fastapi.responses import FileResponse
from sse_starlette import EventSourceResponse, JSONServerSentEvent

app = FastAPI()
runs: dict[str, list[JSONServerSentEvent]] = {}  # the events of each run so far
tasks: set[asyncio.Task[None]] = set()  # or they could be collected as garbage while they run
appended = asyncio.Condition()


async def function1(seconds: float) -> AsyncIterator[int]:
    """Some work, which yields how many percent of it are done."""
    for percent in (25, 50, 75, 100):
        await asyncio.sleep(seconds)
        yield percent


async def function2(seconds: float) -> AsyncIterator[int]:
    """Some other work."""
    for percent in (50, 100):
        await asyncio.sleep(seconds)
        yield percent


async def run_both(run_id: str, seconds: float) -> None:
    """Run function1, then function2, once for all viewers; forget the run five minutes after its end."""

    async def send(event: str, **data: object) -> None:
        event_id = f"{run_id}-{len(runs[run_id]) + 1}"
        runs[run_id].append(JSONServerSentEvent(data, event=event, id=event_id))
        async with appended:
            appended.notify_all()

    for function in (function1, function2):
        await send("start", function=function.__name__)
        async for percent in function(seconds):
            await send("progress", function=function.__name__, percent=percent)
        await send("end", function=function.__name__)
    await send("close")
    await asyncio.sleep(300)
    del runs[run_id]


async def follow(events: list[JSONServerSentEvent], seen: int) -> AsyncIterator[JSONServerSentEvent]:
    """The events after the first `seen`, each as soon as it happens, up to `close`."""
    while seen == 0 or events[seen - 1].event != "close":
        async with appended:
            while seen == len(events):
                await appended.wait()
        yield events[seen]
        seen += 1


@app.get("/stream")
async def stream(
    seconds: Annotated[float, Query(gt=0, le=60)] = 5, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """Start a run; or send the rest of one to a viewer that has seen a part of it."""
    run_id = last_event_id.partition("-")[0]
    if run_id not in runs:
        run_id = secrets.token_hex(4)
        runs[run_id] = []
        task = asyncio.create_task(run_both(run_id, seconds))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    events = runs[run_id]
    seen = next((number for number, event in enumerate(events, 1) if event.id == last_event_id), 0)
    if seen and events[seen - 1].event == "close":
        return Response(status_code=204)  # which tells EventSource not to reconnect
    return EventSourceResponse(follow(events, seen))


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page that shows both."""
    return FileResponse(Path(__file__).with_suffix(".html"))


def main() -> None:
    """Serve on this machine, on port 8000 unless told otherwise."""
    parser = argparse.ArgumentParser(description="Stream the events of two functions.")
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):
        parser.exit(2, f"Port {port} is not free: choose another one with --port.\n")
    uvicorn.run(app, port=port)


if __name__ == "__main__":
    main()
