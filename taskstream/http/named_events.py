"""Events under names of one's own, for pages that listen to those instead of reading snapshots."""

from collections.abc import Callable

from taskstream.encoding import to_json
from taskstream.events import Event
from taskstream.log import Log
from taskstream.viewers import Follower

NameEvent = Callable[[Event], tuple[str, object] | None]
"""From an event to the name and the data that a viewer is sent, or `None` to leave it out."""


class NamedFollower(Follower):
    """A follower that is sent what a function makes of each event; the ids stay as they are."""

    shares = False

    def __init__(self, log: Log, last_event_id: int, name_event: NameEvent) -> None:
        super().__init__(log, last_event_id)
        self._name_event = name_event
        self._next = b""

    def take(self) -> bytes:
        """The next events that are not left out."""
        if self.caught_up:
            return b""
        named, self._next = self._next, b""
        return named

    @property
    def caught_up(self) -> bool:
        """Whether nothing follows that is not left out; what does is held until it is taken."""
        while not self._next and (events := self.take_events()):
            self._next = b"".join(map(self._named, events))
        return not self._next

    def _named(self, event: Event) -> bytes:
        match self._name_event(event):
            case None:
                return b""
            case (str(name), data):
                return named_event(0 if event.lost else event.id, name, data)
            case wrong:
                raise TypeError(
                    "What names events has to return a name (str) and data, or None to leave an event out, "
                    f"not {wrong!r}."
                )


def named_event(event_id: int, name: str, data: object) -> bytes:
    """One event: text stands there as it is, in as many lines as it has; anything else becomes JSON.

    Without an id if that is 0: nobody has seen what is lost.
    Raises `ValueError` for a name that can't be one.
    """
    if name == "error" or name.splitlines() != [name]:
        raise ValueError(f"An event can't be called {name!r}: one line, and not EventSource's own 'error'.")
    text = data.encode("utf-8", "replace") if isinstance(data, str) else to_json(data)
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    body = b"".join(b"data: %b\n" % line for line in lines)
    number = b"id: %d\n" % event_id if event_id else b""
    return b"%bevent: %b\n%b\n" % (number, name.encode(), body)
