"""What a thread says, until the event loop takes it."""

import asyncio
import threading
from collections.abc import Callable

from taskstream.encoding import frozen
from taskstream.updates import Output, Update

OUTPUT_QUEUE_LENGTH = 1000
"""Pieces of output from other threads that may wait for the event loop, unless it is set."""

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
        self._queue: list[Said] = []
        self._outputs = 0
        self._latest: Said = ""
        self._queued: Said = self._latest
        """The latest report that has been put into the queue."""
        self._changed = threading.Condition()
        self._notified = False
        self._closed = False

    def report(self, progress: float, message: str, data: object = None) -> None:
        """Put a report in the place of the one before, unless there was output between them.

        Without a lock, which would double the cost. Raises `asyncio.CancelledError` once this is closed.
        """
        if self._closed:
            raise asyncio.CancelledError("The task was cancelled")
        # What was reported is what is sent, even if the function goes on filling its list.
        self._latest = (progress, message, None if data is None else frozen(data))
        if not self._notified:
            self._notified = True
            self.call(self._notify)

    def output(self, text: str) -> None:
        """Add a piece of output; wait while there are too many. Not to be called in the event loop.

        Raises `asyncio.CancelledError` once this is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._outputs < self._limit)
            if self._closed:
                raise asyncio.CancelledError("The task was cancelled")
            self._queue_latest()  # which came before
            self._queue.append(text)
            self._outputs += 1
        if not self._notified:
            self._notified = True
            self.call(self._notify)

    def take(self) -> list[Item]:
        """All that was said since the last time, in its order."""
        self._notified = False  # first: what is said from now on notifies again
        with self._changed:
            self._queue_latest()
            said, self._queue = self._queue, []
            self._outputs = 0
            self._changed.notify_all()
        return [Update(*each) if isinstance(each, tuple) else Output(each) for each in said]

    def close(self) -> None:
        """Take nothing any more; whoever says something is told by an exception."""
        with self._changed:
            self._closed = True
            self._notify = do_nothing  # a method of the owner: the cycle would keep the task
            self._changed.notify_all()

    def call(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call something in the event loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: the server has stopped, and nobody waits any more
            self.close()

    def _queue_latest(self) -> None:
        latest = self._latest
        if latest is not self._queued:
            self._queued = latest
            self._queue.append(latest)


def do_nothing() -> None:
    """Notify nobody."""
