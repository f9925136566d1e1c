"""What the package raises. Each error is an `HTTPException` too, so that any route answers it right.

This is the one place of the core that knows of HTTP: a router carries no exception handlers, so errors that
leave a route of somebody's own application have to bring their status with them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import HTTPException

RETRY_AFTER_SECONDS = 5
"""What a 503 tells the client to wait."""

NO_STORE = {"Cache-Control": "no-store"}
"""A cached 404 would outlive the reason for it."""


class TaskStreamError(HTTPException):
    """Something that can't be answered as asked; `str()` is a sentence for people."""

    def __init__(self, status: int, detail: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, {**NO_STORE, **(headers or {})})

    def __str__(self) -> str:
        return str(self.detail)


class TaskNotFound(TaskStreamError, LookupError):
    """No task has this id, or none has it any more. Status 404."""

    def __init__(self, task_id: str, retention_seconds: float) -> None:
        super().__init__(
            404,
            f"Task '{task_id[:40]}' not found: it has never existed or was forgotten "
            f"{retention_seconds:g} s after it ended.",
        )


class TryLater(TaskStreamError, RuntimeError):
    """There is no room now, or something is out of reach. Status 503, with `Retry-After`."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


class RegistryFull(TryLater):
    """Every place is taken by a task that has not ended."""

    def __init__(self, max_tasks: int) -> None:
        super().__init__(f"All {max_tasks} places are taken by tasks that still run: try again later.")


class StreamsFull(TryLater):
    """There are as many streams as there may be."""

    def __init__(self, max_streams: int) -> None:
        super().__init__(f"All {max_streams} streams are taken: try again later.")


class BackendUnavailable(TryLater):
    """The back end that keeps the tasks is out of reach. Never raised in one process."""


class InvalidParameters(TaskStreamError, ValueError):
    """What a task should be started with is not what its work accepts. Status 422."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        """Take errors as pydantic lists them; `loc` names the field."""
        # Without the input, which FastAPI would echo: JSON can't hold all that it may be.
        fields = ("type", "loc", "msg")
        super().__init__(422, [{field: each[field] for field in fields} for each in errors])
        self.errors = errors

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidParameters":
        """The same for one field."""
        return cls([{"type": "value_error", "loc": ("body", field), "msg": message}])

    def __str__(self) -> str:
        return "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in self.errors)


class IdempotencyKeyReused(TaskStreamError, ValueError):
    """An idempotency key came with other parameters than the first time. Status 422."""

    def __init__(self) -> None:
        super().__init__(
            422, "This Idempotency-Key was used with other parameters: take a new key for another task."
        )
