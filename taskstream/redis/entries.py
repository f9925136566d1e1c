"""Events as they are kept in Redis, and what its scripts reply."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskstream.events import Event, Kind

KINDS = {kind.encode(): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a log, and what is said about them."""

    events: list[Event]
    """Those of the kinds that are known here: a later version may write others."""
    first_id: int
    last_id: int
    """The numbers of the first and the last entry, whatever their kinds; 0 if there is none."""
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
        ids, kinds, data = entries[::3], entries[1::3], entries[2::3]
        events = [
            Event(int(event_id), KINDS[kind], each)
            for event_id, kind, each in zip(ids, kinds, data, strict=True)
            if kind in KINDS
        ]
        first_id, last_id = (int(ids[0]), int(ids[-1])) if ids else (0, 0)
        latest, whose = logged_snapshot(snapshot), scope.decode() or None
        return cls(events, first_id, last_id, int(newest_id), bool(gapless), latest, whose)


@dataclass(frozen=True, slots=True)
class Decision:
    """How a task has to end, and its latest snapshot, under the number that its last event follows."""

    task_id: str
    status: str
    message: str
    latest: Event

    @classmethod
    def of(cls, reply: Sequence[bytes]) -> "Decision":
        """Decode a reply."""
        task_id, status, message, event_id, data = reply
        return cls(
            task_id.decode(), status.decode(), message.decode(), Event(int(event_id), Kind.SNAPSHOT, data)
        )


def logged_snapshot(value: bytes) -> Event | None:
    """Decode a snapshot and its number, as they are kept beside the log."""
    event_id, _, data = value.partition(b" ")
    return Event(int(event_id), Kind.SNAPSHOT, data) if value else None
