"""What work says that is no async generator: `report` and `track` say how far it is, `output` the rest.

They find the current task by a context variable. So the function stays an ordinary function: called outside
of a task, `report` does nothing, `track` draws a bar on a terminal, and `output` prints.
"""

import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from operator import length_hint
from typing import Protocol, TypeVar

from taskstream.updates import check_update, not_text

Item = TypeVar("Item")


class Reporter(Protocol):
    """What takes in all that one run says. Raises `asyncio.CancelledError` once the task has ended."""

    def report(self, progress: float, message: str, data: object = None) -> None:
        """Take in percent, words and details."""

    def output(self, text: str) -> None:
        """Take in some text."""


current: ContextVar[Reporter | None] = ContextVar("taskstream_reporter", default=None)
"""Where what the current task says goes to; `None` outside of a task."""


def report(progress: float, message: str, data: object = None) -> None:
    """Say how far the current task is: in percent, in words, and in whatever JSON there is to add.

    Works in any function that the work calls, also in threads that it starts with a copied context
    (`asyncio.to_thread`); does nothing outside of a task. Only the latest report of a blocking function
    counts: one that is overtaken before it could be sent is left out.

    Raises `asyncio.CancelledError` once the task is cancelled; `TypeError`, also outside of a task, if the
    progress is no finite number or the message is no text. In a blocking function, that fails the task
    when the report is sent.
    """
    if (reporter := current.get()) is not None:
        reporter.report(progress, message, data)
    else:
        check_update(progress, message)  # so that a test of the function finds what would fail its task


def output(text: str, end: str = "") -> None:
    """Say something beside how far the current task is: a line of a log, a piece of a text.

    Viewers get all of it, in its order, also between reports. A blocking function that is faster than the
    server waits; elsewhere it goes straight to the log, which is bounded. Outside of a task, it is printed.

    Raises `asyncio.CancelledError` once the task is cancelled; `TypeError`, also outside of a task, for
    what is no text.
    """
    if not (isinstance(text, str) and isinstance(end, str)):
        raise not_text("Output", end if isinstance(text, str) else text)
    said = "".join((text, end)) if end else text  # whatever `+` is to a class that inherits from `str`
    if (reporter := current.get()) is not None:
        reporter.output(said)
    else:
        sys.stdout.write(said)


def track(
    iterable: Iterable[Item], description: str = "Working", total: float | None = None
) -> Iterator[Item]:
    """The items, with a report before each and after the last: `Resizing: 3 of 20`.

    `total` is the number of items, if `iterable` has no length; without any, the reports count the items
    and the percentage stays as it is. Outside of a task, draws a bar if stderr is a terminal.

    Raises `asyncio.CancelledError` between two items once the task is cancelled.
    """
    count = total if total is not None else length_hint(iterable) or None
    if (reporter := current.get()) is None:
        yield from draw(iterable, description, count)
        return
    done = 0
    for item in iterable:
        reporter.report(*step(description, done, count))
        yield item
        done += 1
    reporter.report(*step(description, done, count))


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
