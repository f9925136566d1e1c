"""How work that is not an async generator says how far it is: `report` and `track`.

Both find the current task by a context variable. So the function stays an ordinary function: called outside
of a task, `report` does nothing and `track` draws a bar on a terminal.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from operator import length_hint
from typing import Protocol, TypeVar

from taskstream.encoding import frozen

Item = TypeVar("Item")


class Report(Protocol):
    """What takes in the reports of one run."""

    def __call__(self, progress: float, message: str, data: object = None) -> None:
        """Take in percent, words and details. Raises `asyncio.CancelledError` once the task has ended."""


current: ContextVar[Report | None] = ContextVar("taskstream_report", default=None)
"""Where the reports of the current task go; `None` outside of a task."""


def report(progress: float, message: str, data: object = None) -> None:
    """Say how far the current task is: in percent, in words, and in whatever JSON there is to add.

    Works in any function that the work calls, also in threads that it starts with a copied context
    (`asyncio.to_thread`); does nothing outside of a task. Only the latest report of a blocking function
    counts: one that is overtaken before it could be sent is left out.

    Raises `asyncio.CancelledError` once the task is cancelled.
    """
    if (take := current.get()) is not None:
        take(progress, message, data)


def track(
    iterable: Iterable[Item], description: str = "Working", total: float | None = None
) -> Iterator[Item]:
    """The items, with a report before each and after the last: `Resizing: 3 of 20`.

    `total` is the number of items, if `iterable` has no length; without any, the reports count the items
    and the percentage stays as it is. Outside of a task, draws a bar if stderr is a terminal.

    Raises `asyncio.CancelledError` between two items once the task is cancelled.
    """
    count = total if total is not None else length_hint(iterable) or None
    if (take := current.get()) is None:
        yield from draw(iterable, description, count)
        return
    done = 0
    for item in iterable:
        take(*step(description, done, count))
        yield item
        done += 1
    take(*step(description, done, count))


def step(description: str, done: int, total: float | None) -> tuple[float, str]:
    """Percent and words for so many items."""
    if not total:
        return 0, f"{description}: {done}"
    return 100 * min(1, done / total), f"{description}: {done} of {total:g}"


def draw(iterable: Iterable[Item], description: str, total: float | None) -> Iterator[Item]:
    """The items, with a bar on stderr if that is a terminal."""
    from rich.console import Console  # here, because only programs on a terminal need it
    from rich.progress import track as draw_bar

    console = Console(stderr=True)
    return iter(draw_bar(iterable, description, total, console=console, disable=not console.is_terminal))


class LatestReport:
    """The latest report from any thread, for an event loop that is woken once for all it has not seen.

    So a function may report in a tight loop: what it costs does not grow with what the loop can take.
    """

    def __init__(self, notify: Callable[[], object]) -> None:
        """`notify` is called in the running event loop when there is a report that was not taken."""
        self.closed = False
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._latest: tuple[float, str, object] | None = None
        self._taken: tuple[float, str, object] | None = None
        self._notified = False

    def put(self, progress: float, message: str, data: object = None) -> None:
        """Replace the latest report. Raises `asyncio.CancelledError` once this is closed."""
        if self.closed:
            raise asyncio.CancelledError("The task was cancelled")
        # What was reported is what is sent, even if the function goes on filling its list.
        self._latest = (progress, message, None if data is None else frozen(data))
        if not self._notified:
            self._notified = True
            self.call(self._notify)

    def take(self) -> tuple[float, str, object] | None:
        """The latest report, once; `None` if there is no other than those taken before."""
        self._notified = False  # first: a report that comes from now on notifies again
        latest = self._latest  # and not replaced by None, which could overwrite a newer one
        if latest is self._taken:
            return None
        self._taken = latest
        return latest

    def call(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call something in the event loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: the server has stopped, and nobody waits any more
            self.closed = True
