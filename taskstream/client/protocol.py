"""What the three clients know of the server: its snapshots, its refusals, and when to try again."""

import errno
import json
import math
import os
import random
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

Snapshot = dict[str, Any]
"""A task at one moment, as the server describes it."""

FIELDS = {"task_id": str, "name": str, "status": str, "progress": int, "message": str}
"""What the clients need of a snapshot; there is more in it."""

ENDED = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
"""The statuses that no other follows."""

BUSY = frozenset({502, 503, 504})
"""What a proxy says while the server behind it restarts, and a server that has no place free."""

EVENT_BYTES = 4 * 1024 * 1024
"""The largest event that is taken: one that never ends must not fill the memory."""
BODY_BYTES = 64 * 1024
"""How much of an answer that is not a stream is read."""
ANSWER_SECONDS = 10
"""How long an answer that is not a stream may take."""
SILENCE_SECONDS = 45
"""A stream that is silent for so long is dead: the server's heartbeat would have come three times."""
PATIENCE_SECONDS = 30
RETRY_SECONDS = 1.0
"""When to reconnect for the first time, as long as the server hasn't said."""
SHORTEST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 10


class ServerError(Exception):
    """Why there is nothing more to show, in one sentence."""


class Unreachable(ServerError):
    """No server answered, or it broke off."""


class Refused(ServerError):
    """The server said no, or something answered that isn't our server."""


def read_snapshot(url: str, text: str | bytes) -> Snapshot:
    """A snapshot from its JSON. Raises `Refused` if it isn't one."""
    snapshot = parse_json(text)
    if isinstance(snapshot, dict) and all(isinstance(snapshot.get(name), FIELDS[name]) for name in FIELDS):
        return snapshot
    raise not_our_server(url)


def event_number(url: str, event_id: str) -> int:
    """The number of an event: the server counts those of a task from 1."""
    if event_id.isascii() and event_id.isdigit():
        return int(event_id[:20])
    raise not_our_server(url)


def read_answer(url: str, status: int, body: bytes) -> Snapshot:
    """The snapshot in an answer. Raises `Refused` if there is none."""
    if status == 200:
        return read_snapshot(url, body)
    raise refusal(url, status, body)


def refusal(url: str, status: int, body: bytes = b"") -> Refused:
    """A refusal in the server's own words, or the news that it is not our server."""
    match parse_json(body):
        case {"detail": str(detail)}:
            return Refused(f"The server at {url} says no ({status}): {detail}")
        case {"detail": [*errors]} if reasons := [text for each in errors if (text := read_error(each))]:
            return Refused(f"The server at {url} says no ({status}): {'; '.join(reasons)}.")
    return not_our_server(url, status)


def read_error(error: object) -> str | None:
    """One of the reasons for status 422, with the field it is about if there is one."""
    match error:
        case {"loc": ["body", str(field), *_], "msg": str(message)}:
            return f"{field}: {message}"
        case {"msg": str(message)}:
            return message
    return None


def not_our_server(url: str, status: int | None = None) -> Refused:
    """The news that something else answers there."""
    answer = "" if status is None else f" with status {status}"
    return Refused(f"Something answers at {url}{answer}, but it isn't the task server: check --url.")


def parse_json(text: str | bytes) -> object:
    """The value of some JSON; None if it isn't any."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def unreachable(url: str, error: Exception) -> Unreachable:
    """The news that no server is there."""
    return Unreachable(f"No answer from {url} ({reason(error)}): start it with: python app.py")


def reason(error: BaseException) -> str:
    """Why a connection failed, in the system's words: libraries wrap them in many layers of their own."""
    words = "the connection broke"
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError(verify_message=str(problem)):
                return problem
            case ssl.SSLError(reason=str(problem)):  # aiohttp's own SSL errors have none
                return f"TLS: {problem.replace('_', ' ').lower()}"
            case TimeoutError():
                words = "timed out"
            case ConnectionRefusedError():
                words = "Connection refused"  # asyncio puts the address here, and no reason
            case socket.gaierror():
                words = str(cause.strerror)
            case OSError(errno=int(number)) if number in errno.errorcode:
                words = os.strerror(number)
        cause = cause.__cause__ or cause.__context__
    return words


class Patience:
    """How long to wait before trying again: longer and longer, and not for ever."""

    def __init__(
        self,
        url: str,
        seconds: float = PATIENCE_SECONDS,
        notify: Callable[[str], None] = lambda _: None,
        *,
        silence_seconds: float = SILENCE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        shortest_wait_seconds: float = SHORTEST_WAIT_SECONDS,
    ) -> None:
        """`notify` is told when the connection is lost, and when there is one again.

        A stream is dead after `silence_seconds` without a byte. The first wait is `retry_seconds` until the
        server says otherwise, but never less than `shortest_wait_seconds`, whatever it says.
        """
        self.silence_seconds = silence_seconds
        self.retry_seconds = retry_seconds
        self._url = url
        self._seconds = seconds
        self._notify = notify
        self._shortest_wait_seconds = shortest_wait_seconds
        self._known = False
        self._lost = False
        self._tries = 0
        self._give_up_at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until giving up; one at least, so that the last try has a chance."""
        return max(1, self._give_up_at - time.monotonic())

    def connected(self) -> None:
        """There is a connection: begin anew."""
        if self._lost:
            self._notify("Connected again")
        self._known = True
        self._lost = False
        self._tries = 0
        self._give_up_at = math.inf

    def refused(self, status: int, body: bytes) -> str:
        """The server said no: why, if that may pass. Raises `Refused` if it won't."""
        if status in BUSY:
            return f"status {status}"
        if status == 404 and self._known:
            raise Refused(
                f"The server at {self._url} doesn't know the task any more: it has been restarted, "
                "or has forgotten a task that ended."
            )
        raise refusal(self._url, status, body)

    def lost(self, why: str, reconnection_seconds: float) -> float:
        """There is none: seconds until the next try. Raises `Unreachable` when patience is at its end."""
        now = time.monotonic()
        self._give_up_at = min(self._give_up_at, now + self._seconds)
        if now >= self._give_up_at:
            raise Unreachable(
                f"Gave up after {self._seconds:g} s without a connection to {self._url} ({why})."
            )
        if not self._lost:
            self._notify(f"Reconnecting ({why}) for up to {self._seconds:g} s")
        self._lost = True
        wait = max(reconnection_seconds, self._shortest_wait_seconds) * 2.0 ** min(self._tries, 10)
        wait = min(wait, max(reconnection_seconds, LONGEST_WAIT_SECONDS))
        self._tries += 1
        # Never less than the server's `retry:`, and not in step with everyone else.
        return min(wait * random.uniform(1, 1.5), self._give_up_at - now)
