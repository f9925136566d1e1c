"""What a thread says, until the event loop takes it."""

import asyncio
import threading
from collections.abc import Callable

from taskstream.encoding import frozen
from taskstream.updates import Output, Update

Item = Update | Output

Said = str | tuple[float, str, object]
"""Output, or the arguments of a report: objects are made of those that are taken only."""


class Mailbox:
    """What work in other threads says: output piece by piece, and of reports in a row the latest.

    The loop is woken at most once for all that it has not taken. So a function may report in a tight loop,
    and one whose output is faster than the loop is held back, instead of filling the memory.
    """

    def __init__(self, notify: Callable[[], object], output_queue_length: int) -> None:
        """`notify` is called in the running event loop when there is something that was not taken.

        `output_queue_length` is the number of pieces of output that may wait.
        """
        self._notify = notify
        self._limit = output_queue_length
        self._loop = asyncio.get_running_loop()
        self._items: list[Said] = []
        self._outputs = 0
        self._taken = threading.Condition()
        self._closed = False

    def report(self, progress: float, message: str, data: object = None) -> None:
        """Put a report in the place of the one before, unless there was output between them.

        Raises `asyncio.CancelledError` once this is closed.
        """
        # What was reported is what is sent, even if the function goes on filling its list.
        said = (progress, message, None if data is None else frozen(data))
        with self._taken:
            self._check()
            if self._items and isinstance(self._items[-1], tuple):
                self._items[-1] = said
            else:
                self._put(said)

    def output(self, text: str) -> None:
        """Add a piece of output; wait while there are too many. Not to be called in the event loop.

        Raises `asyncio.CancelledError` once this is closed.
        """
        with self._taken:
            self._taken.wait_for(lambda: self._closed or self._outputs < self._limit)
            self._check()
            self._outputs += 1
            self._put(text)

    def take(self) -> list[Item]:
        """All that was said since the last time, in its order."""
        with self._taken:
            items, self._items = self._items, []
            self._outputs = 0
            self._taken.notify_all()
        return [Update(*each) if isinstance(each, tuple) else Output(each) for each in items]

    def close(self) -> None:
        """Take nothing any more; whoever says something is told by an exception."""
        with self._taken:
            self._closed = True
            self._taken.notify_all()

    def call(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call something in the event loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: the server has stopped, and nobody waits any more
            self.close()

    def _check(self) -> None:
        if self._closed:
            raise asyncio.CancelledError("The task was cancelled")

    def _put(self, said: Said) -> None:
        self._items.append(said)
        if len(self._items) == 1:
            self.call(self._notify)
