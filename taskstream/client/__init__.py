"""Clients of event streams: the EventSource algorithm, and how tasks are started and watched."""

from importlib import import_module
from typing import TYPE_CHECKING

from taskstream.client.errors import (
    EventSourceError,
    EventTooLarge,
    InvalidAddress,
    MimeTypeError,
    NoContent,
    StatusError,
)
from taskstream.client.parser import Event, Parser

if TYPE_CHECKING:
    from taskstream.client.event_source import EventSource, ReadyState

__all__ = [
    "Event",
    "EventSource",
    "EventSourceError",
    "EventTooLarge",
    "InvalidAddress",
    "MimeTypeError",
    "NoContent",
    "Parser",
    "ReadyState",
    "StatusError",
]


def __dir__() -> list[str]:
    """The public names, also those that have not been asked for."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Import what needs aiohttp at its first use: everything else does without."""
    if name in ("EventSource", "ReadyState"):
        return getattr(import_module("taskstream.client.event_source"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
