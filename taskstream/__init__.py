"""Long-running tasks, and their progress streamed to any number of viewers by Server-Sent Events.

    from taskstream import TaskStream, Update, track

The names are imported when they are asked for: a client needs nothing of the server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskstream.errors import (
        BackendUnavailable,
        IdempotencyKeyReused,
        InvalidParameters,
        RegistryFull,
        StreamsFull,
        TaskNotFound,
        TaskStreamError,
    )
    from taskstream.events import Event
    from taskstream.http.task_stream import TaskStream
    from taskstream.reporting import output, report, track
    from taskstream.tasks import Snapshot, TaskStatus
    from taskstream.updates import Output, Result, Update, WorkError

__version__ = "1.0.0"

__all__ = [
    "BackendUnavailable",
    "Event",
    "IdempotencyKeyReused",
    "InvalidParameters",
    "Output",
    "RegistryFull",
    "Result",
    "Snapshot",
    "StreamsFull",
    "TaskNotFound",
    "TaskStatus",
    "TaskStream",
    "TaskStreamError",
    "Update",
    "WorkError",
    "output",
    "report",
    "track",
]

MODULES = {
    "errors": (
        "BackendUnavailable",
        "IdempotencyKeyReused",
        "InvalidParameters",
        "RegistryFull",
        "StreamsFull",
        "TaskNotFound",
        "TaskStreamError",
    ),
    "events": ("Event",),
    "http.task_stream": ("TaskStream",),
    "reporting": ("output", "report", "track"),
    "tasks": ("Snapshot", "TaskStatus"),
    "updates": ("Output", "Result", "Update", "WorkError"),
}
"""Where the public names are defined."""


def __dir__() -> list[str]:
    """The public names, also those that have not been asked for."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """A public name, from its module."""
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"taskstream.{module}"), name)
    raise AttributeError(f"module 'taskstream' has no attribute '{name}'")
