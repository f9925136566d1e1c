"""What work that is no async generator says: `report` and `track` tell how far it is, `output` the rest.

They find the current task by a context variable. So the function stays an ordinary function: called outside
of a task, `report` does nothing, `track` draws a bar on a terminal, and `output` prints.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, partial
from math import isfinite
from operator import length_hint
from typing import TYPE_CHECKING, TypeVar

from taskstream.updates import Update, not_text

if TYPE_CHECKING:
    from taskstream.bridge import Reporter

Item = TypeVar("Item")

current_reporter: ContextVar["Reporter | None"] = ContextVar("taskstream_reporter", default=None)
"""Where what the current task says goes to; `None` outside of a task."""


@cache
def forget_in_children() -> None:
    """Have forked processes be outside of the task: nobody reads there what they say to it."""
    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
        os.register_at_fork(after_in_child=partial(current_reporter.set, None))


def current_task_id() -> str | None:
    """The id of the task that runs; `None` outside of one."""
    reporter = current_reporter.get()
    return reporter.task_id if reporter else None


def report(progress: float, message: str, data: object = None) -> None:
    """Say how far the current task is: in percent, in words, and in whatever JSON there is to add.

    Works in any function that the work calls, also in threads that it starts with a copied context
    (`asyncio.to_thread`); does nothing outside of a task. Only the latest report counts: one that is
    overtaken before the event loop could take it is left out.

    Raises `asyncio.CancelledError` once the task is cancelled; `TypeError`, also outside of a task, if the
    progress is no finite number or the message is no text.
    """
    try:
        valid = message.__class__ is str and isfinite(progress)
    except Exception:  # noqa: BLE001 - whatever is no number
        valid = False
    if not valid:
        Update(progress, message)  # which raises, unless it is another kind of text
    if (reporter := current_reporter.get()) is not None:
        reporter.report(progress, message, data)


def output(text: str, end: str = "") -> None:
    """Say something beside how far the current task is: a line of a log, a piece of a text.

    Viewers get all of it, in its order, also between reports. A thread that is faster than the server
    waits; in the event loop it goes straight to the bounded log. Outside of a task, it is printed.

    Raises `asyncio.CancelledError` once the task is cancelled; `TypeError`, also outside of a task, for
    what is no text.
    """
    if not (isinstance(text, str) and isinstance(end, str)):
        raise not_text("Output", end if isinstance(text, str) else text)
    if (reporter := current_reporter.get()) is not None:
        reporter.output(text + end)
    else:
        sys.stdout.write(text + end)


def track(
    iterable: Iterable[Item], description: str = "Working", total: float | None = None
) -> Iterator[Item]:
    """The items, with a report before each and after the last: `Resizing: 3 of 20`.

    `total` is the number of items, if `iterable` has no length; without any, the reports count the items
    and the percentage stays as it is. Outside of a task, draws a bar if stderr is a terminal.

    Raises `asyncio.CancelledError` between two items once the task is cancelled.
    """
    count = total if total is not None else length_hint(iterable) or None
    if current_reporter.get() is None:
        yield from draw(iterable, description, count)
        return
    done = 0
    for item in iterable:
        report(*step(description, done, count))
        yield item
        done += 1
    report(*step(description, done, count))


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


class OutputHandler(logging.Handler):
    """Turns each record into a line of output of the current task; outside of a task, it does nothing.

    What it writes is `format(record)`: by default the level and the message. Tracebacks are for the log of
    the server, and left out unless there is a formatter that has them.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Take in a record; without a lock: a thread that has to wait here must not make others wait."""
        accepted: object = self.filter(record)  # from Python 3.12 on, perhaps another record
        if accepted:
            self.emit(accepted if isinstance(accepted, logging.LogRecord) else record)
        return bool(accepted)

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        return super().format(record) if self.formatter else f"{record.levelname} {record.getMessage()}"

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record to the output of a task that has not ended."""
        reporter = current_reporter.get()
        if reporter is None or record.name.partition(".")[0] == __package__:
            return  # what the package says of a task that failed is for the server's log as well
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - logging decides what becomes of it
            self.handleError(record)
            return
        with suppress(asyncio.CancelledError):  # a logging handler never raises
            reporter.output(f"{line}\n")
