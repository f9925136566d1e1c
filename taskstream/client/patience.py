"""When to try again after a connection has failed, and when to give up."""

import random
import time
from collections.abc import Callable

from taskstream.client.parser import parse_retry
from taskstream.client.protocol import BUSY, Refused, Unavailable, Unreachable, refusal, unreachable
from taskstream.client.reasons import TIMED_OUT, is_unreachable, reason

SILENCE_SECONDS = 45
"""A stream that is silent for so long is dead: the server's heartbeat would have come three times."""
PATIENCE_SECONDS = 30
RETRY_SECONDS = 1.0
"""When to reconnect for the first time, as long as the server hasn't said."""
SHORTEST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 10
LONGEST_TIMEOUT_SECONDS = 86_400
"""A day: no socket waits for longer than its clock counts."""


class Patience:
    """Seconds without a connection that are left, and exponential back-off meanwhile.

    The clock stands while there is a connection, and one that lasts longer than the wait before it earns
    its seconds back. Only a new event renews all of them: a server that ends every connection at once would
    be asked for ever.
    """

    def __init__(
        self,
        url: str,
        seconds: float = PATIENCE_SECONDS,
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
        self._was_connected = False
        self._connected = False
        self._notified = False
        self._tries = 0
        self._wait = 0.0
        self._left = seconds
        self._counted_at = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds until giving up; one at least, so that the last try has a chance."""
        self._count()
        return min(max(1, self._left), LONGEST_TIMEOUT_SECONDS)

    def set_retry(self, value: str | None) -> None:
        """Take the first wait from a `retry` field, if it is valid."""
        if (seconds := parse_retry(value or "")) is not None:
            self.retry_seconds = seconds

    def connected(self) -> None:
        """There is a connection: the clock stands."""
        self._count()
        self._was_connected = self._connected = True
        if self._notified:
            self._notify("Connected again")
        self._notified = False

    def renew(self) -> None:
        """There is a new event: begin anew."""
        self._count()
        self._left = self._seconds
        self._tries = 0

    def refused(self, status: int | None, body: bytes) -> str:
        """The server said no: why, if that may pass. Raises `Refused` if it won't."""
        if status in BUSY:
            return f"status {status}"
        if status == 404 and self._was_connected:
            raise Refused(
                f"The server at {self._url} doesn't know the task any more: it has been restarted, "
                "or has forgotten a task that ended."
            )
        raise refusal(self._url, status, body)

    def lost(self, why: str, retry_seconds: float, doing: str = "Reconnecting") -> float:
        """There is no connection: seconds until the next try. Raises `Unreachable` when none are left."""
        self._count(silent=why == TIMED_OUT)
        self._connected = False
        if self._left < 0.001:  # waiting to the very end may leave a rounding error
            raise Unreachable(
                f"Gave up after {self._seconds:.15g} s without a connection to {self._url} ({why})."
            )
        if not self._notified:
            self._notify(f"{doing} ({why}) for up to {self._seconds:.15g} s")
        self._notified = True
        return min(self._back_off(retry_seconds), self._left, LONGEST_TIMEOUT_SECONDS)

    def not_started(self, error: Exception) -> float:
        """There is no answer to a start: seconds until it is sent again, with the same key.

        Raises `Unreachable` at once if there is no server at all, `Unavailable` if it stays busy.
        """
        if isinstance(error, Unavailable):
            try:
                return self.lost(error.why, max(error.retry_seconds, self.retry_seconds), "Trying again")
            except Unreachable:
                raise error from None
        if self._tries == 0 and is_unreachable(error):
            raise unreachable(self._url, error) from error
        return self.lost(reason(error), self.retry_seconds, "Trying again")

    def _count(self, *, silent: bool = False) -> None:
        """Bring the seconds that are left up to date; a silent connection earns none."""
        now = time.monotonic()
        passed, self._counted_at = now - self._counted_at, now
        if not self._connected:
            self._left -= passed
        elif passed > self._wait and not silent:
            self._left = min(self._seconds, self._left + passed)

    def _back_off(self, retry_seconds: float) -> float:
        """Twice as long each time, never less than `retry_seconds`, and not in step with everyone else."""
        wait = max(retry_seconds, self._shortest_wait_seconds) * 2.0 ** min(self._tries, 10)
        wait = min(wait, max(retry_seconds, LONGEST_WAIT_SECONDS))
        self._tries += 1
        self._wait = wait * random.uniform(1, 1.5)
        return self._wait
