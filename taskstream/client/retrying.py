"""When to try again after a connection has failed, and when to give up."""

import random
import time
from collections.abc import Callable

from taskstream.client import protocol
from taskstream.client.errors import TIMED_OUT, EventSourceError, EventTooLarge, is_unreachable, reason
from taskstream.client.parser import parse_retry
from taskstream.client.protocol import BUSY, NoServer, Unreachable, WrongServer, rejection

SILENCE_SECONDS = 45
"""A stream that is silent for so long is dead: the server's heartbeat would have come three times."""
GIVE_UP_SECONDS = 30
RETRY_SECONDS = 1.0
"""When to reconnect for the first time, as long as the server hasn't said."""
SHORTEST_WAIT_SECONDS = 0.1
"""The least of all waits, whatever the server says."""
LONGEST_WAIT_SECONDS = 10

FIRST_BYTE_SECONDS = 5
"""A stream of which nothing has come for so long is held back, as by a proxy that keeps it to its end."""
POLL_SECONDS = 10
"""What is asked for then: an answer that ends with the next events, or after so many seconds."""
PAUSE_SECONDS = 1
"""The least time between two of these."""
STREAM_AGAIN_SECONDS = 60
"""How long until a stream is tried again."""


class Retrying:
    """Exponential back-off between tries, until there has been no connection for too long.

    The seconds without a connection are counted anew after one that brought a new event, or lasted for
    longer than the wait before it without timing out. The back-off begins anew with a new event, or an
    answer that has waited for one: a server that ends every connection at once would be asked for ever.
    """

    def __init__(
        self,
        url: str,
        seconds: float = GIVE_UP_SECONDS,
        notify: Callable[[str], None] = lambda _: None,
        *,
        on_lost: Callable[[int], object] = lambda _: None,
    ) -> None:
        """`notify` is told when the connection is lost, and when there is one again.

        `on_lost` is told how many events the server has forgotten meanwhile, if any, and output with them.
        """
        self.silence_seconds: float = SILENCE_SECONDS
        self.retry_seconds = RETRY_SECONDS
        self.shortest_wait_seconds = SHORTEST_WAIT_SECONDS
        self.on_lost = on_lost
        self.url = url
        self._seconds = seconds
        self._notify = notify
        self._notified = False
        self._tries = 0
        self._wait = 0.0
        self._deadline = time.monotonic() + seconds
        self._connected_at: float | None = None
        self._received_event = False
        self._asked_at = self._stream_at = 0.0
        self._poll_seconds = 0
        self._probing = self._heard = self._held_back = False

    @property
    def seconds_left(self) -> float:
        """Seconds until giving up; one at least, so that the last try has a chance."""
        return max(1, self._deadline - time.monotonic())

    def set_retry(self, value: str | None) -> None:
        """Take the first wait from a `retry` field, if it is valid."""
        if (seconds := parse_retry(value or "")) is not None:
            self.retry_seconds = seconds

    def next_query(self) -> str:
        """The query of the next connection: none for a stream, `?wait=10` while those are held back."""
        self._asked_at = time.monotonic()
        self._poll_seconds = 0
        if self._asked_at < self._stream_at:
            self._poll_seconds = max(1, min(POLL_SECONDS, int(self.seconds_left) - 2))
        slow = self._probing and self._heard
        self._probing = self.silence_seconds > FIRST_BYTE_SECONDS and not (self._poll_seconds or slow)
        self._heard = False
        return f"?wait={self._poll_seconds}" if self._poll_seconds else ""

    @property
    def read_seconds(self) -> float:
        """Seconds without a byte that end this connection: few, to find out whether any gets through."""
        return FIRST_BYTE_SECONDS if self._probing else self.silence_seconds

    def heard(self, _: object = None) -> None:
        """The connection has brought something, if only a comment."""
        self._heard = True

    def connected(self) -> None:
        """There is a connection."""
        self._connected_at, self._received_event = time.monotonic(), False
        if self._notified:
            self._notify("Connected again")
        self._notified = False

    def received_event(self) -> None:
        """The connection has brought a new event."""
        self._tries, self._received_event = 0, True
        if self._held_back and not self._poll_seconds:
            self._held_back = False
            self._notify("Streaming again")

    def disconnected(self, error: Exception | None, retry_seconds: float) -> float:
        """A connection has ended, or failed: seconds until the next one.

        Raises `Rejected` if another would not help, or when it is too late and the server says why; else
        `Unreachable`.
        """
        now = time.monotonic()
        took = now - self._asked_at
        is_mute = error is not None and reason(error) == TIMED_OUT and took > 0.9 * FIRST_BYTE_SECONDS
        if self._probing and is_mute:  # a stream that has begun gets more time
            self._end_connection(silent=True)
            if not self._heard:
                self._stream_at = now + STREAM_AGAIN_SECONDS
                if not self._held_back:
                    seconds = FIRST_BYTE_SECONDS
                    self._notify(f"No byte for {seconds} s, as if a proxy held the stream back: polling")
                self._held_back = True
            return 0
        self._probing = False
        waited = took > 0.9 * self._poll_seconds
        if error is None and self._poll_seconds and (waited or self._received_event):
            self._tries, self._connected_at, self._deadline = 0, None, now + self._seconds
            return max(retry_seconds, PAUSE_SECONDS)
        return self._try_again(error, retry_seconds, "Reconnecting")

    def start_failed(self, error: Exception) -> float:
        """A start has no answer, or none yet: seconds until it is sent again, with the same key.

        Raises the same, and `NoServer` at once if nothing listens there.
        """
        if self._tries == 0 and is_unreachable(error):
            raise NoServer(f"No answer from {self.url} ({reason(error)}).") from error
        return self._try_again(error, self.retry_seconds, "Trying again")

    def _why(self, error: Exception | None) -> str:
        """Why there is no connection, in words. Raises `Rejected` if another would not help."""
        match error:
            case None:
                return "the stream ended"
            case EventSourceError(status=int(status)) if status in BUSY:
                return f"status {status}"
            case EventTooLarge():
                limit = f"more than {protocol.EVENT_BYTES >> 20} MiB"
                raise protocol.Rejected(f"The server at {self.url} sends an event of {limit}.")
            case EventSourceError():
                raise rejection(self.url, error.status, error.body)
        return reason(error)

    def _end_connection(self, *, silent: bool) -> None:
        """Count the seconds without a connection anew, if there was one that was of use."""
        if self._connected_at is not None:
            now = time.monotonic()
            passed = now - self._connected_at
            was_alive = self._received_event or (passed > self._wait and not silent)
            self._deadline = now + self._seconds if was_alive else self._deadline + passed
            self._connected_at = None

    def _try_again(self, error: Exception | None, retry_seconds: float, doing: str) -> float:
        """There is no connection: seconds until the next try. Raises `ServerError` when it is too late."""
        why = self._why(error)
        if isinstance(error, EventSourceError):
            retry_seconds = max(error.retry_seconds, retry_seconds)
        self._end_connection(silent=why == TIMED_OUT)
        left = self._deadline - time.monotonic()
        if left < 0.001:  # waiting to the very end may leave a rounding error
            if isinstance(error, EventSourceError):
                refusal = rejection(self.url, error.status, error.body)
                if not isinstance(refusal, WrongServer):  # which it isn't: a proxy has no words
                    raise refusal
            raise Unreachable(
                f"Gave up after {self._seconds:.15g} s without a connection to {self.url} ({why})."
            )
        if not self._notified:
            self._notify(f"{doing} ({why}) for up to {self._seconds:.15g} s")
        self._notified = True
        # Twice as long each time, never less than `retry_seconds`, and not in step with everyone else.
        wait = max(retry_seconds, self.shortest_wait_seconds) * 2.0 ** min(self._tries, 10)
        self._tries += 1
        self._wait = min(wait, max(retry_seconds, LONGEST_WAIT_SECONDS)) * random.uniform(1, 1.5)
        return min(self._wait, left)
