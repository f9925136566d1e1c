"""Numbered events, as whoever follows a log inside the application gets them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pydantic_core

from taskstream.tasks import Snapshot, read_snapshot


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a task: a snapshot, or output, or the numbers of events that the log has dropped."""

    id: int
    """Its number, from 1; of what was dropped, the last one."""
    snapshot: Snapshot | None = None
    output: str | None = None
    lost: range | None = None


def read_events(stream: bytes) -> Iterator[Event]:
    """The events that a piece of a log is made of."""
    for block in stream.split(b"\n\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
        yield read_event(fields.get(b"event", b""), int(fields.get(b"id", 0)), fields[b"data"])


def read_event(kind: bytes, event_id: int, data: bytes) -> Event:
    """One event."""
    match kind:
        case b"output":
            return Event(event_id, output=pydantic_core.from_json(data)["text"])
        case b"lost":
            lost = pydantic_core.from_json(data)
            return Event(lost["to"], lost=range(lost["from"], lost["to"] + 1))
    return Event(event_id, snapshot=read_snapshot(data))
