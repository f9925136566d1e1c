"""The position of a viewer in a task's log."""

from collections.abc import Callable

from taskstream.client import errors, protocol
from taskstream.client.protocol import SnapshotDict
from taskstream.client.retrying import Retrying


class Cursor:
    """The last event that a viewer has seen; what comes again, it does not show again."""

    def __init__(
        self, url: str, retrying: Retrying, on_output: Callable[[str], object] | None = None
    ) -> None:
        """`on_output` is called with each piece of the task's output; without it, output is skipped."""
        self.last_event_id = ""
        self.finished = False
        self._number = 0
        self._lost = 0
        self._url = url
        self._retrying = retrying
        self._on_output = on_output
        self._output_error: Exception | None = None

    def advance(self, event_type: str, event_id: str | None, data: str) -> SnapshotDict | None:
        """Move on to an event; its snapshot, if it is new and has one: output and `lost` have none."""
        if event_type == "lost":
            self._report_lost(data)
            return None
        is_snapshot = event_type == "message"
        event_id = event_id or self.last_event_id
        if not (is_snapshot or event_id):
            return None
        number = protocol.event_number(self._url, event_id)
        if number <= self._number:
            return None
        snapshot = protocol.read_snapshot(self._url, data) if is_snapshot else None
        self._number, self.last_event_id = number, str(number)
        self._retrying.received_event()
        self.finished = snapshot is not None and snapshot["status"] in protocol.ENDED
        if event_type == "output" and self._on_output:
            text = protocol.read_output(self._url, data)
            try:
                self._on_output(text)
            except Exception as error:
                self._output_error = error
                raise
        return snapshot

    def reason(self, error: Exception) -> str:
        """Why a connection failed. Raises the error again if it is one of `on_output`: a closed pipe."""
        if error is self._output_error:
            raise error
        return errors.reason(error)

    def _report_lost(self, data: str) -> None:
        """Tell of the events that are gone, unless that has been told on the connection before."""
        if self._on_output:
            first, last = protocol.read_lost(self._url, data)
            count = last - max(first - 1, self._lost, self._number)
            self._lost = max(self._lost, last)
            if count > 0:
                self._retrying.on_lost(count)
