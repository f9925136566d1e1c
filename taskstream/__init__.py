"""Long-running tasks, and their progress streamed to any number of viewers by Server-Sent Events.

    from taskstream import TaskStream, Update, track

The names are imported when they are asked for: a client needs nothing of the server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskstream.errors import (
        BackendUnavailable as BackendUnavailable,
        IdempotencyKeyReused as IdempotencyKeyReused,
        InvalidParameters as InvalidParameters,
        RegistryFull as RegistryFull,
        StreamsFull as StreamsFull,
        TaskNotFound as TaskNotFound,
        TaskStreamError as TaskStreamError,
    )
    from taskstream.events import Event as Event, Snapshot as Snapshot, TaskStatus as TaskStatus
    from taskstream.http.task_stream import TaskStream as TaskStream
    from taskstream.reporting import (
        current_task_id as current_task_id,
        output as output,
        report as report,
        track as track,
    )
    from taskstream.running import EVERYBODY as EVERYBODY
    from taskstream.updates import (
        Output as Output,
        Result as Result,
        Update as Update,
        WorkError as WorkError,
    )

__version__ = "1.1.0"

MODULES = {
    "errors": (
        *("BackendUnavailable", "IdempotencyKeyReused", "InvalidParameters", "RegistryFull", "StreamsFull"),
        *("TaskNotFound", "TaskStreamError"),
    ),
    "events": ("Event", "Snapshot", "TaskStatus"),
    "http.task_stream": ("TaskStream",),
    "reporting": ("current_task_id", "output", "report", "track"),
    "running": ("EVERYBODY",),
    "updates": ("Output", "Result", "Update", "WorkError"),
}
"""The public names of each module."""

__all__ = sorted(name for names in MODULES.values() for name in names)  # noqa: PLE0605 - it is a list


def __dir__() -> list[str]:
    """The public names, also those that have not been asked for."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """A public name, from its module."""
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"taskstream.{module}"), name)
    raise AttributeError(f"module 'taskstream' has no attribute '{name}'")
