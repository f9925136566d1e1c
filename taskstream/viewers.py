"""The viewers of logs: a `Follower` reads one log, an `Overview` shows many."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal, Self

from taskstream.events import Event
from taskstream.log import Log


class Viewer(ABC):
    """A cursor in logs: what is there, by `take`; or, while it is entered, also what comes, by `read`."""

    shares = False
    """Whether it takes the events of one log as they stand, so that what is sent can be shared."""
    logs: tuple[Log, ...] = ()

    def __init__(self, logs: Iterable[Log]) -> None:
        self.logs = tuple(logs)

    def __enter__(self) -> Self:
        self._news = asyncio.Event()
        for log in self.logs:
            log.listeners.add(self._news.set)
        return self

    def __exit__(self, *_: object) -> None:
        for log in self.logs:
            log.listeners.discard(self._news.set)

    def release(self) -> None:
        """Let go of the logs: a viewer that has left is kept by cycles of anyio and sse-starlette."""
        vars(self).clear()

    @abstractmethod
    def take(self) -> bytes:
        """The next events that are there, about `PIECE_BYTES` of a log; `b""` if there are none."""

    @property
    def caught_up(self) -> bool:
        """Whether `take` has come to the end of what is there; it may take more than it returns."""
        return True

    @property
    def outcome(self) -> Literal["ended", "stopped"] | None:
        """Why nothing will follow what is there, if so: every task has ended, or the server stops."""
        if all(log.ended for log in self.logs):
            return "ended"
        return "stopped" if all(log.closed for log in self.logs) else None

    async def wait(self) -> bool:
        """Return true as soon as there is something new; false, at once, if nothing will come any more."""
        for log in self.logs:
            if not log.closed:
                del log  # which the traceback of a cancellation would keep
                self._news.clear()
                await self._news.wait()
                return True
        return False

    async def read(self) -> bytes:
        """The next events, as soon as there are any; `b""` when no more will come."""
        while not (events := self.take()) and await self.wait():
            pass
        return events


class Follower(Viewer):
    """A cursor in one log: first it reads what follows `last_event_id`, then what happens."""

    shares = True

    def __init__(self, log: Log, last_event_id: int) -> None:
        super().__init__([log])
        self.log = log
        self.last_event_id = last_event_id

    def take(self) -> bytes:
        """The next events, in pieces if they are many."""
        if self.last_event_id == self.log.last_id:
            return b""
        events, self.last_event_id = self.log.after(self.last_event_id)
        return events

    def take_events(self) -> list[Event]:
        """The next events as they stand in the log."""
        if events := self.log.events_after(self.last_event_id):
            self.last_event_id = events[-1].id
        return events

    @property
    def caught_up(self) -> bool:
        """Whether the cursor stands behind the last event."""
        return self.last_event_id >= self.log.last_id


class Overview(Viewer):
    """The latest snapshot of each of many logs, again whenever there is a later one.

    Those in between are left out, so that no log can delay another. The events carry no ids, but for
    the last one: once every log has ended it says `id: end`.
    """

    def __init__(self, logs: Iterable[Log], preface: Iterable[bytes] = ()) -> None:
        self._seen = dict.fromkeys(logs, 0)
        self._preface = list(preface)
        super().__init__(self._seen)

    def take(self) -> bytes:
        """The preface, once, and whatever has changed since the last time."""
        events, self._preface = self._preface, []
        for log, last_id in self._seen.items():
            if last_id != log.latest_id:
                self._seen[log] = log.latest_id
                events.append(b"data: %b\n\n" % log.latest)
        if events and self.outcome == "ended":
            events[-1] = b"id: end\n" + events[-1]
        return b"".join(events)
