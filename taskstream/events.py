"""Numbered events, as whoever follows a log inside the application gets them."""

from collections.abc import Iterator
from dataclasses import dataclass

from taskstream.tasks import Snapshot, read_snapshot


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a task: its number, from 1, and the snapshot that it carries."""

    id: int
    snapshot: Snapshot


def read_events(stream: bytes) -> Iterator[Event]:
    """The events that a piece of a log is made of."""
    for block in stream.split(b"\n\n")[:-1]:
        event_id, data = block.removeprefix(b"id: ").split(b"\ndata: ")
        yield Event(int(event_id), read_snapshot(data))
