"""What the clients know of the task server: its snapshots, output and refusals."""

import json
from collections.abc import Mapping
from typing import Any

SnapshotDict = dict[str, Any]
"""A task at one moment, as the server describes it."""

FIELDS = {"task_id": str, "name": str, "status": str, "progress": int, "message": str}
"""What the clients need of a snapshot; there is more in it."""

ENDED = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
"""The statuses that no other follows."""

BUSY = frozenset({502, 503, 504})
"""What a proxy says while the server behind it restarts, and a server that has no place free."""

EVENT_BYTES = 4 * 1024 * 1024
"""The largest event that is taken: one that never ends must not fill the memory."""
ANSWER_SECONDS = 10
"""How long an answer that is not a stream may take."""


class ServerError(Exception):
    """Why there is nothing more to show, in one sentence."""


class Unreachable(ServerError):
    """No server answered, or it broke off."""


class NoServer(Unreachable):
    """There is nothing at the address that could be asked."""


class Rejected(ServerError):
    """The server said no, or something answered that isn't our server."""


class WrongServer(Rejected):
    """Something answered that isn't our server."""

    def __init__(self, url: str, status: int | None = None) -> None:
        answer = "" if status is None else f" with status {status}"
        super().__init__(f"Something answers at {url}{answer}, but it isn't the task server.")


class WrongPath(Rejected):
    """The server has no tasks at this path."""


class Unavailable(Exception):
    """A start has failed for now: the same may be accepted later."""

    def __init__(self, rejected: Rejected, why: str, retry_seconds: float = 0) -> None:
        """`rejected` is what to raise if it stays so, `retry_seconds` how long the server asks to wait."""
        super().__init__(why)
        self.rejected = rejected
        self.retry_seconds = retry_seconds


def read_snapshot(url: str, text: str | bytes) -> SnapshotDict:
    """A snapshot from its JSON. Raises `Rejected` if it isn't one."""
    snapshot = parse_json(text)
    if (
        isinstance(snapshot, dict)
        and all(isinstance(snapshot.get(name), FIELDS[name]) for name in FIELDS)
        and 0 <= snapshot["progress"] <= 100
    ):
        return snapshot
    raise WrongServer(url)


def read_answer(url: str, status: int, headers: Mapping[str, str], body: bytes) -> SnapshotDict:
    """The snapshot in the answer to a start. Raises `Rejected`, or `Unavailable` if that may pass."""
    if status in BUSY:
        retry_after = headers.get("Retry-After", "")
        seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0
        raise Unavailable(rejection(url, status, body), f"status {status}", seconds)
    if 300 <= status < 400 and (address := headers.get("Location", "").removesuffix("/start-task")):
        raise Rejected(f"The server at {url} redirects to {address[:200]}: give that as --url.")
    if status != 200:
        raise rejection(url, status, body)
    if not body:  # http.client takes a head that was cut off for a whole one
        raise Unavailable(WrongServer(url), "the connection broke")
    return read_snapshot(url, body)


def rejection(url: str, status: int | None, body: bytes = b"") -> Rejected:
    """What a status other than 200 means, in the server's own words."""
    match parse_json(body):
        case {"detail": "Not Found"} if status == 404:  # as FastAPI says it where no route is
            return WrongPath(f"The server at {url} says no (404): there are no tasks at this address.")
        case {"detail": str(detail)}:
            return Rejected(f"The server at {url} says no ({status}): {detail}")
        case {"detail": [*errors]} if reasons := [text for each in errors if (text := read_error(each))]:
            return Rejected(f"The server at {url} says no ({status}): {'; '.join(reasons)}.")
    return WrongServer(url, status)


def read_error(error: object) -> str | None:
    """One of the reasons for status 422, with the field it is about if there is one."""
    match error:
        case {"loc": ["body", *path], "msg": str(message)} if path:
            return f"{'.'.join(map(str, path))}: {message}"
        case {"msg": str(message)}:
            return message
    return None


def parse_json(text: str | bytes) -> object:
    """The value of some JSON; None if it isn't any."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
