"""Events as they are kept in Redis, and what its commands reply."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskstream.events import Event, Kind


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a log and, if it was read from its beginning, the latest snapshot."""

    events: list[Event]
    snapshot: Event | None = None


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


def logged_events(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[Event]:
    """Decode the entries of a stream."""
    return [
        Event(int(key.partition(b"-")[0]), Kind(fields[b"kind"].decode()), fields[b"data"])
        for key, fields in entries
    ]


def logged_snapshot(value: bytes | None) -> Event | None:
    """Decode a snapshot and its number, as they are kept beside the log."""
    event_id, _, data = (value or b"").partition(b" ")
    return Event(int(event_id), Kind.SNAPSHOT, data) if value else None
