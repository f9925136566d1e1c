"""When to try again after a connection has failed, and when to give up."""

import random
import time
from collections.abc import Callable

from taskstream.client.errors import TIMED_OUT, is_unreachable, reason
from taskstream.client.parser import parse_retry
from taskstream.client.protocol import BUSY, NoServer, Rejected, Unavailable, Unreachable, rejection

SILENCE_SECONDS = 45
"""A stream that is silent for so long is dead: the server's heartbeat would have come three times."""
GIVE_UP_SECONDS = 30
RETRY_SECONDS = 1.0
"""When to reconnect for the first time, as long as the server hasn't said."""
SHORTEST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 10


class Retrying:
    """Exponential back-off between tries, until there has been no connection for too long.

    The seconds without a connection are counted anew after one that brought a new event, or lasted for
    longer than the wait before it without timing out. The back-off begins anew with a new event only: a
    server that ends every connection at once would be asked for ever.
    """

    def __init__(
        self,
        url: str,
        seconds: float = GIVE_UP_SECONDS,
        notify: Callable[[str], None] = lambda _: None,
        *,
        on_lost: Callable[[int], object] = lambda _: None,
        silence_seconds: float = SILENCE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        shortest_wait_seconds: float = SHORTEST_WAIT_SECONDS,
    ) -> None:
        """`notify` is told when the connection is lost, and when there is one again.

        `on_lost` is told how many events the server has forgotten meanwhile, if any, and output with them.
        A stream is dead after `silence_seconds` without a byte. The first wait is `retry_seconds` until the
        server says otherwise, but never less than `shortest_wait_seconds`, whatever it says.
        """
        self.silence_seconds = silence_seconds
        self.retry_seconds = retry_seconds
        self.on_lost = on_lost
        self._url = url
        self._seconds = seconds
        self._notify = notify
        self._shortest_wait_seconds = shortest_wait_seconds
        self._notified = False
        self._tries = 0
        self._wait = 0.0
        self._deadline = time.monotonic() + seconds
        self._connected_at: float | None = None
        self._was_connected = self._received_event = False

    @property
    def seconds_left(self) -> float:
        """Seconds until giving up; one at least, so that the last try has a chance."""
        return max(1, self._deadline - time.monotonic())

    def set_retry(self, value: str | None) -> None:
        """Take the first wait from a `retry` field, if it is valid."""
        if (seconds := parse_retry(value or "")) is not None:
            self.retry_seconds = seconds

    def connected(self) -> None:
        """There is a connection."""
        self._connected_at = time.monotonic()
        self._was_connected, self._received_event = True, False
        if self._notified:
            self._notify("Connected again")
        self._notified = False

    def received_event(self) -> None:
        """The connection has brought a new event."""
        self._tries, self._received_event = 0, True

    def rejected(self, status: int | None, body: bytes) -> str:
        """The answer was no stream: why, if another try may help. Raises `Rejected` if it won't."""
        if status in BUSY:
            return f"status {status}"
        if status == 404 and self._was_connected:
            raise Rejected(
                f"The server at {self._url} doesn't know the task any more: it has been restarted, "
                "or has forgotten a task that ended."
            )
        raise rejection(self._url, status, body)

    def disconnected(self, why: str, retry_seconds: float, doing: str = "Reconnecting") -> float:
        """There is no connection: seconds until the next try. Raises `Unreachable` when it is too late."""
        now = time.monotonic()
        if self._connected_at is not None:
            passed = now - self._connected_at
            was_alive = self._received_event or (passed > self._wait and why != TIMED_OUT)
            self._deadline = now + self._seconds if was_alive else self._deadline + passed
            self._connected_at = None
        left = self._deadline - now
        if left < 0.001:  # waiting to the very end may leave a rounding error
            raise Unreachable(
                f"Gave up after {self._seconds:.15g} s without a connection to {self._url} ({why})."
            )
        if not self._notified:
            self._notify(f"{doing} ({why}) for up to {self._seconds:.15g} s")
        self._notified = True
        return min(self._back_off(retry_seconds), left)

    def start_failed(self, error: Exception) -> float:
        """A start has no answer, or none yet: seconds until it is sent again, with the same key.

        Raises `NoServer` at once if nothing listens there, `Rejected` if the server stays busy.
        """
        if isinstance(error, Unavailable):
            try:
                wait = max(error.retry_seconds, self.retry_seconds)
                return self.disconnected(str(error), wait, "Trying again")
            except Unreachable:
                raise error.rejected from None
        if self._tries == 0 and is_unreachable(error):
            raise NoServer(f"No answer from {self._url} ({reason(error)}).") from error
        return self.disconnected(reason(error), self.retry_seconds, "Trying again")

    def _back_off(self, retry_seconds: float) -> float:
        """Twice as long each time, never less than `retry_seconds`, and not in step with everyone else."""
        wait = max(retry_seconds, self._shortest_wait_seconds) * 2.0 ** min(self._tries, 10)
        wait = min(wait, max(retry_seconds, LONGEST_WAIT_SECONDS))
        self._tries += 1
        self._wait = wait * random.uniform(1, 1.5)
        return self._wait
