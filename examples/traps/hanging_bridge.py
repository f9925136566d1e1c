"""The bridge of thread and queue that hangs at the end.

    python examples/traps/hanging_bridge.py

Question: Why does the stream hang at 100 %?
Symptom:  the bar stops at 100 %, but the stream never ends; each such stream keeps a thread for ever,
          until the pool has none left, and the server hangs on Ctrl-C.
Cause:    "as long as the thread is alive, wait for the next item" is the wrong condition: after its last
          item the thread is alive for another moment, and no other item will ever come.
Cure:     the end is an item too: put it into the queue when the function returns, and when it raises.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from queue import Queue
from threading import Thread

from fastapi import FastAPI
from sse_starlette import EventSourceResponse

END = None

app = FastAPI()


def blocking_work(report: Callable[[str], None]) -> None:
    """A function of a library: it reports, then it cleans up and returns."""
    for percent in (25, 50, 75, 100):
        time.sleep(0.1)
        report(f"{percent} %")
    time.sleep(0.1)
    print("work: the function returns")


async def broken_bridge() -> AsyncIterator[str]:
    """What the function reports, as long as its thread is alive."""
    queue: Queue[str] = Queue()
    thread = Thread(target=blocking_work, args=(queue.put,), daemon=True)
    thread.start()
    while thread.is_alive():
        yield await asyncio.to_thread(queue.get)


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Stream the reports, and wait for one more."""
    return EventSourceResponse(broken_bridge())


async def fixed_bridge() -> AsyncIterator[str]:
    """What the function reports, up to its end."""
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(item: str | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, item)

    def run() -> None:
        try:
            blocking_work(put)
        finally:
            put(END)

    Thread(target=run, daemon=True).start()
    while (item := await queue.get()) is not END:
        yield item


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Stream the reports, and end."""
    return EventSourceResponse(fixed_bridge())


if __name__ == "__main__":
    from show import show

    show(__file__)
