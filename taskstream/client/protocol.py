"""What the three clients know of the server: its snapshots and its refusals."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from taskstream.client.commands import server_command
from taskstream.client.reasons import reason

Snapshot = dict[str, Any]
"""A task at one moment, as the server describes it."""

FIELDS = {"task_id": str, "name": str, "status": str, "progress": int, "message": str}
"""What the clients need of a snapshot; there is more in it."""

ENDED = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
"""The statuses that no other follows."""

BUSY = frozenset({502, 503, 504})
"""What a proxy says while the server behind it restarts, and a server that has no place free."""

LARGEST_NUMBER = 10**18
"""No event has a larger one."""
EVENT_BYTES = 4 * 1024 * 1024
"""The largest event that is taken: one that never ends must not fill the memory."""
ANSWER_SECONDS = 10
"""How long an answer that is not a stream may take."""


class ServerError(Exception):
    """Why there is nothing more to show, in one sentence."""


class Unreachable(ServerError):
    """No server answered, or it broke off."""


class Refused(ServerError):
    """The server said no, or something answered that isn't our server."""


class Unavailable(Refused):
    """The server said no for now."""

    def __init__(self, refusal: Refused, why: str, retry_seconds: float) -> None:
        """`retry_seconds` is how long the server asks to wait."""
        super().__init__(str(refusal))
        self.why = why
        self.retry_seconds = retry_seconds


def stream_url(url: str, task_id: str) -> str:
    """The address of a task's stream."""
    return f"{url}/task-progress/{quote(task_id, safe='')}"


def idempotency_key() -> dict[str, str]:
    """The header by which the server knows a start that is sent again, and starts no second task."""
    return {"Idempotency-Key": uuid4().hex}


def read_snapshot(url: str, text: str | bytes) -> Snapshot:
    """A snapshot from its JSON. Raises `Refused` if it isn't one."""
    snapshot = parse_json(text)
    if (
        isinstance(snapshot, dict)
        and all(isinstance(snapshot.get(name), FIELDS[name]) for name in FIELDS)
        and 0 <= snapshot["progress"] <= 100
    ):
        return snapshot
    raise not_our_server(url)


def read_output(url: str, data: str) -> str:
    """The text of an output event. Raises `Refused` if it has none."""
    match parse_json(data):
        case {"text": str(text)}:
            return text
    raise not_our_server(url)


def read_lost(url: str, data: str) -> tuple[int, int]:
    """The first and the last event that the server has dropped. Raises `Refused` if it names none."""
    match parse_json(data):
        case {"from": int(first), "to": int(last)} if 1 <= first <= last <= LARGEST_NUMBER:
            return first, last
    raise not_our_server(url)


def event_number(url: str, event_id: str) -> int:
    """The number of an event: the server counts those of a task from 1."""
    if event_id.isascii() and event_id.isdigit():
        return int(event_id[:20])
    raise not_our_server(url)


def read_answer(url: str, status: int, headers: Mapping[str, str], body: bytes) -> Snapshot:
    """The snapshot in an answer. Raises `Refused` if there is none, `Unavailable` if there may be later."""
    if status in BUSY:
        retry_after = headers.get("Retry-After", "")
        seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0
        raise Unavailable(refusal(url, status, body), f"status {status}", seconds)
    if status != 200:
        raise refusal(url, status, body)
    if not body:  # http.client takes a head that was cut off for a whole one
        raise Unavailable(not_our_server(url), "the connection broke", 0)
    return read_snapshot(url, body)


def refusal(url: str, status: int | None, body: bytes = b"") -> Refused:
    """A refusal in the server's own words, or the news that it is not our server."""
    match parse_json(body):
        case {"detail": "Not Found"} if status == 404:  # as FastAPI says it where no route is
            return Refused(
                f"The server at {url} says no (404): there are no tasks at this address; "
                "is a path prefix missing from --url, such as /jobs?"
            )
        case {"detail": str(detail)}:
            return Refused(f"The server at {url} says no ({status}): {detail}")
        case {"detail": [*errors]} if reasons := [text for each in errors if (text := read_error(each))]:
            return Refused(f"The server at {url} says no ({status}): {'; '.join(reasons)}.")
    return not_our_server(url, status)


def read_error(error: object) -> str | None:
    """One of the reasons for status 422, with the field it is about if there is one."""
    match error:
        case {"loc": ["body", *path], "msg": str(message)} if path and all(map(is_field, path)):
            return f"{'.'.join(map(str, path))}: {message}"
        case {"msg": str(message)}:
            return message
    return None


def is_field(name: object) -> bool:
    """Whether it may be a part of the path to a field: its name, or the index of an item."""
    return isinstance(name, str | int)


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


def unreachable(url: str, error: BaseException) -> Unreachable:
    """The news that no server is there."""
    return Unreachable(f"No answer from {url} ({reason(error)}): start it with: {server_command()}")
