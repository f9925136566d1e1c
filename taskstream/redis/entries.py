"""Events as they are kept in Redis, and what the scripts answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What an event is, so that whoever passes it on need not look into it."""

    SNAPSHOT = ""
    LAST = "last"
    """The snapshot after which no event follows."""
    OUTPUT = "output"


class LoggedEvent(NamedTuple):
    """An event as it is kept in Redis."""

    id: int
    """Its number; until it is in the log, what its writer counts."""
    data: bytes
    kind: Kind = Kind.SNAPSHOT


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a log and, if it was read from its beginning, the latest snapshot beside it."""

    events: list[LoggedEvent]
    snapshot: LoggedEvent | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How a task has to end, and what its last event follows."""

    task_id: str
    status: str
    message: str
    latest: LoggedEvent

    @classmethod
    def of(cls, reply: Sequence[bytes]) -> "Decision":
        """Read one from the reply of a script."""
        task_id, status, message, event_id, data = reply
        return cls(task_id.decode(), status.decode(), message.decode(), LoggedEvent(int(event_id), data))


def logged_events(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[LoggedEvent]:
    """The events that are the entries of a stream."""
    return [
        LoggedEvent(int(key.partition(b"-")[0]), fields[b"data"], Kind(fields[b"kind"].decode()))
        for key, fields in entries
    ]


def logged_snapshot(value: bytes | None) -> LoggedEvent | None:
    """A snapshot as it is kept beside the log."""
    event_id, _, data = (value or b"").partition(b" ")
    return LoggedEvent(int(event_id), data) if value else None
