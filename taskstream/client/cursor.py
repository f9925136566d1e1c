"""The position of a viewer in a task's log."""

from taskstream.client.patience import Patience
from taskstream.client.protocol import ENDED, Snapshot, event_number, read_snapshot


class Cursor:
    """The last event that a viewer has seen; what comes again, it does not show again."""

    def __init__(self, url: str, patience: Patience) -> None:
        self.last_event_id = ""
        self.finished = False
        self._number = 0
        self._url = url
        self._patience = patience

    def advance(self, event_type: str, event_id: str | None, data: str) -> Snapshot | None:
        """Move on to an event; its snapshot, if it is new and has one: output and `lost` have none."""
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
        return snapshot
