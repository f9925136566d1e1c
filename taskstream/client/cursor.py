"""The position of a viewer in a task's log."""

from collections.abc import Callable

from taskstream.client import reasons
from taskstream.client.patience import Patience
from taskstream.client.protocol import ENDED, Snapshot, event_number, read_lost, read_output, read_snapshot


class Cursor:
    """The last event that a viewer has seen; what comes again, it does not show again."""

    def __init__(
        self, url: str, patience: Patience, on_output: Callable[[str], object] | None = None
    ) -> None:
        """`on_output` is called with each piece of the task's output; without it, output is skipped."""
        self.last_event_id = ""
        self.finished = False
        self._number = 0
        self._lost = 0
        self._url = url
        self._patience = patience
        self._on_output = on_output
        self._error: Exception | None = None

    def advance(self, event_type: str, event_id: str | None, data: str) -> Snapshot | None:
        """Move on to an event; its snapshot, if it is new and has one: output and `lost` have none."""
        if event_type == "lost":
            self._lose(data)
            return None
        is_snapshot = event_type == "message"
        event_id = event_id or self.last_event_id
        if not (is_snapshot or event_id):
            return None
        number = event_number(self._url, event_id)
        if number <= self._number:
            return None
        snapshot = read_snapshot(self._url, data) if is_snapshot else None
        self._number, self.last_event_id = number, str(number)
        self._patience.renew()
        self.finished = snapshot is not None and snapshot["status"] in ENDED
        if event_type == "output":
            self._hand_on(data)
        return snapshot

    def reason(self, error: Exception) -> str:
        """Why a connection failed. Raises the error again if it is one of `on_output`: a closed pipe."""
        if error is self._error:
            raise error
        return reasons.reason(error)

    def _hand_on(self, data: str) -> None:
        if self._on_output:
            text = read_output(self._url, data)
            try:
                self._on_output(text)
            except Exception as error:
                self._error = error
                raise

    def _lose(self, data: str) -> None:
        """Tell of the events that are gone, unless that has been told on the connection before."""
        if self._on_output:
            first, last = read_lost(self._url, data)
            count = last - max(first - 1, self._lost, self._number)
            self._lost = max(self._lost, last)
            if count > 0:
                self._patience.on_lost(count)
