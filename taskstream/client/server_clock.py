"""The time that a task has left, by the server's clock and as the page shows it."""

import math
import time
from datetime import datetime

from taskstream.client.protocol import ENDED, Snapshot
from taskstream.client.text import duration


class ServerClock:
    """The server's clock, told by its events: none of them arrives before it was sent."""

    def __init__(self) -> None:
        self._ahead_seconds = math.inf
        """By how much this computer's clock is ahead."""

    def observe(self, snapshot: Snapshot) -> None:
        """Take in a snapshot that has just arrived."""
        if (updated := timestamp(snapshot.get("updated_at"))) is not None:
            self._ahead_seconds = min(self._ahead_seconds, time.time() - updated)

    def describe(self, snapshot: Snapshot) -> str:
        """The time a task has left, has taken, or has run so far if it hasn't come anywhere."""
        started, updated = (timestamp(snapshot.get(name)) for name in ("started_at", "updated_at"))
        if started is None or updated is None:
            return ""
        if snapshot["status"] in ENDED:
            return f"took {duration(updated - started)}"
        elapsed = time.time() - self._ahead_seconds - started
        if snapshot["progress"] == 0:
            return duration(elapsed)
        total = (updated - started) * 100 / snapshot["progress"]
        return f"{duration(total - elapsed)} left"


def timestamp(text: object) -> float | None:
    """The seconds of a moment in ISO 8601; None if it isn't one."""
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError, OSError):
        return None
