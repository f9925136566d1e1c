"""Clients of event streams: the EventSource algorithm, and what the three client programs share."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskstream.client.errors import (
        EventSourceError,
        EventTooLarge,
        InvalidAddress,
        MimeTypeError,
        NoContent,
        StatusError,
    )
    from taskstream.client.event_source import EventSource, ReadyState
    from taskstream.client.parser import Event, Parser

MODULES = {
    "Event": "parser",
    "EventSource": "event_source",
    "EventSourceError": "errors",
    "EventTooLarge": "errors",
    "InvalidAddress": "errors",
    "MimeTypeError": "errors",
    "NoContent": "errors",
    "Parser": "parser",
    "ReadyState": "event_source",
    "StatusError": "errors",
}
"""The module of each public name."""

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
    """Import a public name at its first use: the parser needs no aiohttp."""
    if name in MODULES:
        return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
