"""JSON that crashes in mid-stream on a datetime.

    python examples/traps/datetime_in_data.py

Question: Why does the stream break off in the middle, always at the same event?
Symptom:  the stream breaks off in the middle, always at the same event; the browser connects again and
          gets no further. The status was 200, so no error handler of the framework is called.
Cause:    `json.dumps` raises on types that JSON doesn't have (datetime, Decimal, UUID, set), and by then
          half of the stream is sent. NaN is worse: `json.dumps` writes it, and JSON.parse in the browser
          raises.
Cure:     a serializer that turns such values into strings. FastAPI's `jsonable_encoder` does it for most;
          with pydantic_core, one that it doesn't know costs one value, not the stream.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from fastapi import FastAPI
from pydantic_core import to_json
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()

DETAILS = [
    {"step": 1, "note": "so far, so good"},
    {"step": 2, "finished": datetime(2026, 1, 31, 12, 0, tzinfo=UTC)},
    {"step": 3, "ratio": float("nan"), "handle": object},
]


async def progress(dumps: Callable[[object], str]) -> AsyncIterator[ServerSentEvent]:
    """Three steps, with details."""
    for details in DETAILS:
        await asyncio.sleep(0.1)
        yield ServerSentEvent(dumps(details))


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Details as JSON, if they can be."""
    return EventSourceResponse(progress(json.dumps))


def dumps_anything(value: object) -> str:
    """JSON of any value."""
    return to_json(value, inf_nan_mode="null", serialize_unknown=True).decode()


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Details as JSON, always."""
    return EventSourceResponse(progress(dumps_anything))


SCENARIO = {"connections": 2}

if __name__ == "__main__":
    from show import show

    show(__file__)
