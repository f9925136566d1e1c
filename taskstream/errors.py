"""What the package raises, and what viewers and the log of the server are told of work that raises.

Each error is an `HTTPException` too: a router carries no exception handlers, so errors that leave a route
of somebody's own application have to bring their status with them. Nothing else of the core knows of HTTP.
"""

import logging
import re
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from starlette.exceptions import HTTPException

from taskstream.encoding import plain_text
from taskstream.updates import WorkError

logger = logging.getLogger(__name__)

IDEMPOTENCY_KEY = "Idempotency-Key"
"""The header by which a start that is sent again starts nothing again."""

NO_STORE = {"Cache-Control": "no-store"}
"""A cached 404 would outlive the reason for it."""

MAX_ERRORS = 20
"""Errors of one request that are reported."""

MAX_FIELD_NAME = 100
"""Characters of a field's name that are reported, as it may be whatever the client has sent."""

MAX_LINE = 10_000
"""Characters of a line of a traceback that are logged."""


class TaskStreamError(HTTPException):
    """Something that can't be answered as asked; `str()` is a sentence for people."""

    def __init__(self, status: int, detail: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, headers={**NO_STORE, **(headers or {})})
        self.detail: Any = detail  # FastAPI answers it as JSON, whatever it is

    def __str__(self) -> str:
        return str(self.detail)


class TaskNotFound(TaskStreamError, LookupError):
    """No task has this id, or none has it any more. Status 404."""

    def __init__(self, task_id: str, retention_seconds: float, mark: str = "") -> None:
        """Take the mark of the ids that are given out here, if it is known."""
        is_id = re.fullmatch("[0-9a-f]{32}", task_id)
        self.elsewhere = bool(mark and is_id and not task_id.endswith(mark))
        """Whether the id was given out by another process, or before a restart."""
        reason = (
            "it was started by another process of this application, which shares no tasks with this one, "
            "or before the server was restarted."
            if self.elsewhere
            else f"it has never existed or was forgotten {retention_seconds:.9g} s after it ended, sooner "
            "if newer tasks needed its place or the server was restarted."
        )
        super().__init__(404, f"Task '{task_id[:40]}' not found: {reason}")


class TryLater(TaskStreamError, RuntimeError):
    """There is no room now, or something is out of reach. Status 503, with `Retry-After` in seconds."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail, {"Retry-After": "5"})


class RegistryFull(TryLater):
    """Every place is taken by a task that has not ended."""

    def __init__(self, max_tasks: int) -> None:
        super().__init__(f"All {max_tasks} places are taken by tasks that still run: try again later.")


class StreamsFull(TryLater):
    """There are as many streams as there may be."""


class BackendUnavailable(TryLater):
    """The back end that keeps the tasks is out of reach. Never raised in one process."""


class InvalidParameters(TaskStreamError, ValueError):
    """What a task should be started with is not what its work accepts. Status 422."""

    def __init__(self, errors: Sequence[Mapping[str, Any]], *part: str) -> None:
        """Take errors as pydantic lists them; `loc` names the field, in some `part` of the request."""
        told = []
        for each in errors[:MAX_ERRORS]:  # without the input: JSON can't hold all that it may be
            names = [name[:MAX_FIELD_NAME] if isinstance(name, str) else name for name in each["loc"]]
            told.append({"type": each["type"], "loc": [*part, *names], "msg": each["msg"]})
        if more := len(errors) - len(told):
            told.append({"type": "too_many", "loc": [*part], "msg": f"… and {more} more"})
        super().__init__(422, told)

    @classmethod
    def of(cls, field: str, message: str, part: str = "body") -> "InvalidParameters":
        """The same for one field."""
        return cls([{"type": "value_error", "loc": (field,), "msg": message}], part)

    def __str__(self) -> str:
        sentences = ([".".join(map(str, each["loc"][1:])), each["msg"]] for each in self.detail)
        return "; ".join(": ".join(filter(None, sentence)) for sentence in sentences)


class IdempotencyKeyReused(InvalidParameters):
    """An idempotency key came with other parameters than the first time. Status 422."""

    def __init__(self) -> None:
        message = "This key was used with other parameters: take a new one for another task"
        error = {"type": "value_error", "loc": (IDEMPOTENCY_KEY,), "msg": message}
        super().__init__([error], "header")


def explain(error: BaseException) -> str:
    """An error in words for the viewers, who must not be shown a traceback."""
    name = "error"
    with suppress(BaseException):  # whatever its class does: the task has to end all the same
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        name = plain_text(type(error).__name__)
        if isinstance(error, WorkError | TaskStreamError):
            return plain_text(str(error)) or "Failed"
        if isinstance(error, HTTPException) and error.detail and isinstance(error.detail, str):
            return plain_text(error.detail)
    return f"Unexpected {name}: the server's log has the details"


def log_failure(message: str, error: BaseException) -> None:
    """Log an error with its traceback, in which no text of a client can look like a line of the log."""
    info = (type(error), error, error.__traceback__)
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message, (), info)
    record.exc_text = "  The traceback can't be shown."
    with suppress(BaseException):
        lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
        record.exc_text = "\n".join(f"  {printable(line)}" for line in lines)
    if logger.isEnabledFor(logging.ERROR):
        logger.handle(record)


def printable(line: str) -> str:
    """The line, or the beginning of a long one, with escapes for what a terminal would obey."""
    if len(line) > MAX_LINE:
        line = f"{line[:MAX_LINE]} … and {len(line) - MAX_LINE:,} characters more"
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
