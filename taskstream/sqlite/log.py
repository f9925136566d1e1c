"""The log of a task that is kept in a file."""

from collections import deque
from collections.abc import Callable, Iterable

from taskstream.encoding import one_line
from taskstream.events import Event, Kind
from taskstream.log import Log
from taskstream.settings import Settings

TRIMMED_AT_ONCE = 64
"""Events that have fallen out of a log are deleted from the file so many at a time."""


class FileLog(Log):
    """A log that shows an event once it is in the file, so that nobody sees what may be gone.

    What was appended and doesn't show yet is bounded as the rest is.
    """

    row: tuple[object, ...] | None = None
    """What the file is to know of the task, as long as it is not in there."""
    begun = False
    """Whether the file has more than its first event, and the parameters no more."""

    def __init__(
        self, number: int, task_id: str, settings: Settings, on_append: Callable[["FileLog"], object]
    ) -> None:
        """`number` is that of its task in the file."""
        super().__init__(settings.history_length, settings.history_bytes)
        self.number = number
        self.task_id = task_id
        self.appended: deque[Event] = deque()
        """What doesn't show yet."""
        self._appended_bytes = 0
        self._next_id = 1
        self._snapshot_id = 0
        self._on_append = on_append
        self.rows: deque[int] = deque()
        """The numbers, in the file, of the events that show."""
        self._snapshot_row = 0

    def append(self, data: bytes, kind: Kind = Kind.SNAPSHOT, event_id: int = 0) -> None:
        """Add an event, which shows when it is in the file."""
        if not data.isascii():
            data = one_line(data)
        event = Event(event_id or self._next_id, kind, data)
        self._next_id = event.id + 1
        if kind is Kind.SNAPSHOT or kind is Kind.LAST:
            self._snapshot_id = event.id
            self.sealed = kind is Kind.LAST
        self.appended.append(event)
        self._appended_bytes += len(data)
        while len(self.appended) > self._history_length or (
            self._appended_bytes > self._history_bytes and len(self.appended) > 1
        ):
            self._drop_oldest()
        self._on_append(self)

    def show(self, rows: Iterable[int]) -> None:
        """Show what was appended, which has got these numbers in the file."""
        for event, row in zip(self.appended, rows, strict=False):  # none, for a log that is over
            self.rows.append(row)
            if event.id == self._snapshot_id:
                self._snapshot_row = row
        for event in self.appended:
            super().append(event.data, event.kind, event.id)
        self.appended.clear()
        self._appended_bytes = 0
        self.begun, self.row = self.row is None, None

    def restore(self, events: Iterable[Event], rows: Iterable[int] = ()) -> None:
        """Show what the file has."""
        self.appended.extend(events)
        self._next_id = self.appended[-1].id + 1
        self._snapshot_id = max(
            each.id for each in self.appended if each.kind in (Kind.SNAPSHOT, Kind.LAST)
        )
        self.show(rows)

    @property
    def whole(self) -> list[Event]:
        """All that there is, also what doesn't show yet."""
        return [*self._events, *self.appended]

    def trim(self) -> list[int]:
        """The numbers of events that have fallen out of the log, but for that of the latest snapshot."""
        excess = len(self.rows) - len(self._events)
        if excess <= TRIMMED_AT_ONCE:
            return []
        trimmed = [self.rows.popleft() for _ in range(excess)]
        if self._snapshot_row in trimmed:
            trimmed.remove(self._snapshot_row)
            self.rows.appendleft(self._snapshot_row)
        return trimmed

    def _drop_oldest(self) -> None:
        """Drop the oldest of what doesn't show yet, unless it is the latest snapshot: then the next."""
        first = self.appended.popleft()
        dropped = first
        if first.id == self._snapshot_id and self.appended:
            dropped = self.appended.popleft()
            self.appended.appendleft(first)
        self._appended_bytes -= len(dropped.data)
