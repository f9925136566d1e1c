"""Events as they are kept in Redis, and what its commands reply."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The kind of an event, so that nobody has to parse its data to pass it on."""

    SNAPSHOT = ""
    LAST = "last"
    """The snapshot after which no event follows."""
    OUTPUT = "output"


class LoggedEvent(NamedTuple):
    """An event as it is kept in Redis."""

    id: int
    """Its number in the log; in what a writer sends, how the writer counts it."""
    data: bytes
    kind: Kind = Kind.SNAPSHOT


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a log and, if it was read from its beginning, the latest snapshot."""

    events: list[LoggedEvent]
    snapshot: LoggedEvent | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How a task has to end, and its latest snapshot, under the number that its last event follows."""

    task_id: str
    status: str
    message: str
    latest: LoggedEvent

    @classmethod
    def of(cls, reply: Sequence[bytes]) -> "Decision":
        """Decode a reply."""
        task_id, status, message, event_id, data = reply
        return cls(task_id.decode(), status.decode(), message.decode(), LoggedEvent(int(event_id), data))


def logged_events(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[LoggedEvent]:
    """Decode the entries of a stream."""
    return [
        LoggedEvent(int(key.partition(b"-")[0]), fields[b"data"], Kind(fields[b"kind"].decode()))
        for key, fields in entries
    ]


def logged_snapshot(value: bytes | None) -> LoggedEvent | None:
    """Decode a snapshot and its number, as they are kept beside the log."""
    event_id, _, data = (value or b"").partition(b" ")
    return LoggedEvent(int(event_id), data) if value else None
