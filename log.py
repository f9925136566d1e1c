"""The log of a task, and those who read it: a `Viewer` follows one log, an `Overview` many."""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from itertools import islice
from typing import Self

import pydantic_core
from pydantic_core import PydanticSerializationError

PIECE_BYTES = 64 * 1024
"""A viewer that lags behind is given the log in pieces of about this size."""


class Log:
    """The events of one task: numbered from 1, encoded once, the latest `history_length` kept."""

    def __init__(self, history_length: int) -> None:
        self.last_id = 0
        self.latest = b""
        self.ended = False
        self.closed = False
        self.listeners: set[Callable[[], None]] = set()
        self._events: deque[bytes] = deque(maxlen=history_length)

    def append(self, data: bytes, *, last: bool = False) -> None:
        """Add an event with one line of `data`, and tell the listeners."""
        self.last_id += 1
        self.latest = data
        self.ended = self.closed = last
        self._events.append(b"id: %d\ndata: %b\n\n" % (self.last_id, data))
        self._tell()

    def close(self) -> None:
        """Let every viewer go as soon as it has read what is there, because the server stops."""
        self.closed = True
        self._tell()

    def after(self, event_id: int) -> tuple[bytes, int]:
        """The events that follow `event_id`, a piece at a time, and the id of the last of them."""
        missing = min(self.last_id - event_id, len(self._events))
        if missing == 1:  # what nearly every viewer wants nearly every time
            return self._events[-1], self.last_id
        piece: list[bytes] = []
        piece_bytes = 0
        for event in islice(self._events, len(self._events) - missing, None):
            piece.append(event)
            piece_bytes += len(event)
            if piece_bytes >= PIECE_BYTES:
                break
        return b"".join(piece), self.last_id - missing + len(piece)

    def parse_id(self, last_event_id: str | None) -> int:
        """The event that a `Last-Event-ID` names; 0, before the first, if we never gave it out."""
        if last_event_id and re.fullmatch("[1-9][0-9]{0,17}", last_event_id):
            event_id = int(last_event_id)
            if event_id <= self.last_id:
                return event_id
        return 0

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


class Viewer:
    """A cursor in one log: first what follows `last_event_id`, then live. Listens while entered."""

    def __init__(self, log: Log, last_event_id: int) -> None:
        self._log = log
        self._last_event_id = last_event_id
        self._news = asyncio.Event()

    def __enter__(self) -> Self:
        self._log.listeners.add(self._news.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._log.listeners.discard(self._news.set)

    async def read(self) -> bytes:
        """The next events, as soon as there are any; `b""` when no more will come."""
        while self._last_event_id == self._log.last_id:
            if self._log.closed:
                return b""
            self._news.clear()
            await self._news.wait()
        events, self._last_event_id = self._log.after(self._last_event_id)
        return events


class Overview:
    """The latest event of each of many logs, again whenever there is a later one.

    Those in between are left out, so that no log can delay another. The events carry no ids, but for
    the last one: once every log has ended it says `id: end`.
    """

    def __init__(self, logs: Iterable[Log], preface: Iterable[bytes] = ()) -> None:
        self._seen = dict.fromkeys(logs, 0)
        self._preface = list(preface)
        self._news = asyncio.Event()

    def __enter__(self) -> Self:
        for log in self._seen:
            log.listeners.add(self._news.set)
        return self

    def __exit__(self, *_: object) -> None:
        for log in self._seen:
            log.listeners.discard(self._news.set)

    async def read(self) -> bytes:
        """The next events, as soon as there are any; `b""` when no more will come."""
        while not (events := self._take()):
            if all(log.closed for log in self._seen):
                return b""
            self._news.clear()
            await self._news.wait()
        if all(log.ended for log in self._seen):
            events[-1] = b"id: end\n" + events[-1]
        return b"".join(events)

    def _take(self) -> list[bytes]:
        """The preface, once, and what has changed since the last time."""
        events, self._preface = self._preface, []
        for log, last_id in self._seen.items():
            if last_id != log.last_id:
                self._seen[log] = log.last_id
                events.append(b"data: %b\n\n" % log.latest)
        return events


def to_json(value: object) -> bytes:
    """One line of UTF-8; what JSON has no word for becomes a string, never a crash."""
    try:
        return encode(value)
    except PydanticSerializationError:
        return encode(without_surrogates(value))


def without_surrogates(value: object) -> object:
    """The same with `?` for each half of a surrogate pair, which UTF-8 has no bytes for."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {without_surrogates(key): without_surrogates(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [without_surrogates(each) for each in value]
    if is_dataclass(value):
        return {field.name: without_surrogates(getattr(value, field.name)) for field in fields(value)}
    try:
        encode(value)
    except PydanticSerializationError:  # such as the path of a file with a strange name
        return without_surrogates(str(value))
    return value


encode = partial(pydantic_core.to_json, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=True)
