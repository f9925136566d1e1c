"""What the scripts in Redis answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from taskstream.events import Event, Kind

KINDS = {kind.encode(): kind for kind in Kind}


class Page(NamedTuple):
    """Some events of a log, and what is said about them."""

    events: list[Event]
    newest_id: int
    """The number of the newest entry of the log, if this page doesn't reach it; else 0."""
    gapless: bool
    """Whether they follow the event after which they were asked for, as that is still in the log."""
    snapshot: Event | None
    """The latest snapshot, if it was read from its beginning."""
    scope: str | None
    """Whose the task is, likewise."""

    @classmethod
    def of(cls, reply: Sequence[Any]) -> "Page":
        """Decode a reply."""
        newest_id, gapless, snapshot, scope, *entries = reply
        events = [logged_event(*entries[i : i + 3]) for i in range(0, len(entries), 3)]
        number, _, data = snapshot.partition(b" ")  # and another one, but by older versions
        latest = logged_event(number, b"", data.lstrip(b" ")) if snapshot else None
        return cls(events, int(newest_id), bool(gapless), latest, scope.decode() or None)


class Position(NamedTuple):
    """Where the latest event of a writer is in a log, while nothing else has happened to the task."""

    id: int
    sent_id: int
    """Its number, as its writer counts."""
    history: bytes
    status: bytes
    room: int
    """Bytes that may follow before the memory that the log takes is looked at."""


Decision = Sequence[bytes]
"""How a task has to end: its id, status and message; what its last event follows: number, and snapshot."""


def logged_event(event_id: bytes, kind: bytes, data: bytes) -> Event:
    """An event as Redis has it; of a kind that only a later version knows, it is lost here."""
    number = int(event_id)
    return Event(number, KINDS[kind], data) if kind in KINDS else Event.of_lost(number, number)
