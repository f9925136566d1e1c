"""What the clients know of the task server: its address, snapshots and refusals."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

from taskstream.client.errors import StatusError, retry_after

SnapshotDict = dict[str, Any]
"""A task at one moment, as the server describes it."""

FIELDS = {"task_id": str, "name": str, "status": str, "progress": int, "message": str}
"""What the clients need of a snapshot; there is more in it."""
MISSING: SnapshotDict = {
    **dict.fromkeys(("data", "started_at", "updated_at")),
    **dict.fromkeys(("name", "message"), ""),
    "progress": 0,
    "steps": (),
}
"""What is taken for fields that another version of the server leaves out."""

ENDED = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
"""The statuses that no other follows."""

BUSY = frozenset({502, 503, 504})
"""What a proxy says while the server behind it restarts, and a server that has no place free."""

NAME_CHARACTERS = 100
"""The longest name of a task."""
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


def server_url(text: str) -> str:
    """The address that a person means: `localhost:8000`, `:8000`, or that of the page, with its `#task`.

    Raises `ValueError` if there is none.
    """
    scheme, address = re.findall(r"(?is)^(?:(https?):/*)?(.*)", text.strip())[0]
    address = re.split("[?#]", address)[0].rstrip("/")
    if re.match(r":?\d+(/|$)", address):  # a port alone
        address = f"localhost:{address.removeprefix(':')}"
    try:
        parts = urlsplit(f"{scheme.lower() or 'http'}://{address}")
        host = (parts.hostname or "").encode("idna").decode()
        valid = re.fullmatch(r"[\w.-]+|[\da-f:.]+", host) and parts.port != 0
        path = quote(parts.path, safe="/%:@!$&()*+,;=~")
    except ValueError:  # brackets, labels or ports that are invalid
        valid = False
    if not valid or parts.path.startswith("//"):
        raise ValueError(f"{text!r} is no address of a server, such as http://localhost:8000")
    return f"{parts.scheme}://{parts.netloc}{path}"


def start_request(fields: Mapping[str, object]) -> dict[str, Any]:
    """Headers and body of a start: sent again, with the same key, it starts no second task.

    Raises `ValueError` or `TypeError` for fields that JSON has no words for.
    """
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
    return {"headers": headers, "data": json.dumps(fields, allow_nan=False).encode()}


def read_snapshot(url: str, text: str | bytes) -> SnapshotDict:
    """A snapshot from its JSON; all but id and status may be missing. Raises `Rejected` if it isn't one."""
    snapshot = parse_json(text)
    if isinstance(snapshot, dict):
        snapshot = {**MISSING, **snapshot}
        valid = all(isinstance(snapshot.get(name), kind) for name, kind in FIELDS.items())
        if valid and 0 <= snapshot["progress"] <= 100:
            return snapshot
    raise WrongServer(url)


def read_answer(url: str, status: int, headers: Mapping[str, str], body: bytes) -> SnapshotDict:
    """The snapshot in the answer to a start. Raises `Rejected`, or what `Retrying.start_failed` takes."""
    if 300 <= status < 400 and (address := headers.get("Location", "").removesuffix("/start-task")):
        raise Rejected(f"The server at {url} redirects to {address[:200]}: give that as --url.")
    if status != 200:
        raise StatusError(f"Expected status 200, got {status}.", status, body, retry_after(headers))
    if not body:  # http.client takes a head that was cut off for a whole one
        raise ConnectionError("The head of the answer was cut off.")
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
