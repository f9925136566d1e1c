"""The position of a viewer in a task's log."""

from collections.abc import Callable

from taskstream.client import protocol
from taskstream.client.protocol import SnapshotDict, WrongServer, parse_json
from taskstream.client.retrying import Retrying


class Cursor:
    """The last event that a viewer has seen; what comes again, it does not show again."""

    def __init__(self, retrying: Retrying, on_output: Callable[[str], object] | None = None) -> None:
        """`on_output` is called with each piece of the task's output; without it, output is skipped."""
        self.finished = False
        self._number = 0
        self._lost = 0
        self._retrying = retrying
        self._on_output = on_output

    def advance(self, event_type: str, last_event_id: str, data: str) -> SnapshotDict | None:
        """Move on to an event; its snapshot, if it is new and has one: output and `lost` have none."""
        if event_type == "lost" and self._on_output:
            self._report_lost(data)
        is_snapshot = event_type == "message"
        if not (is_snapshot or last_event_id):
            return None
        if not (last_event_id.isascii() and last_event_id.isdigit()):
            raise WrongServer(self._retrying.url)
        number = int(last_event_id[:20])
        if number <= self._number:
            return None
        snapshot = protocol.read_snapshot(self._retrying.url, data) if is_snapshot else None
        self._number = number
        self._retrying.received_event()
        self.finished = snapshot is not None and snapshot["status"] in protocol.ENDED
        if event_type == "output" and self._on_output:
            match parse_json(data):
                case {"text": str(text)}:
                    self._on_output(text)
                case _:
                    raise WrongServer(self._retrying.url)
        return snapshot

    def _report_lost(self, data: str) -> None:
        """Tell of the events that are gone, unless that has been told on the connection before."""
        match parse_json(data):
            case {"from": int(first), "to": int(last)}:
                count = last - max(first - 1, self._lost, self._number)
                self._lost = max(self._lost, last)
                if count > 0:
                    self._retrying.on_lost(count)
            case _:
                raise WrongServer(self._retrying.url)
