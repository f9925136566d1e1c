"""What work that is no async generator says: `report` and `track` tell how far it is, `output` the rest.

They find the current task by a context variable. So the function stays an ordinary function: called outside
of a task, `report` does nothing, `track` draws a bar on a terminal, and `output` prints.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import isfinite
from operator import length_hint
from typing import Any, TypeVar

from taskstream.steps import Step, current_step, find_step
from taskstream.updates import Update, check_text

Item = TypeVar("Item")


def current_task_id() -> str | None:
    """The id of the task that runs; `None` outside of one."""
    step = find_step()
    return step.reporter.task_id if step else None


def report(progress: float | None, message: str, data: object = None) -> None:
    """Say how far the current task is: in percent, in words, and in whatever JSON there is to add.

    Inside of `track`, the percentage is that of the current item; with `None`, the words stand alone. Works
    in any function that the work calls, also in threads that it starts with a copied context
    (`asyncio.to_thread`); does nothing outside of a task. Only the latest report counts: one that is
    overtaken before the event loop could take it is left out.

    Raises `asyncio.CancelledError` once the task is cancelled; `TypeError`, also outside of a task, if the
    progress is no finite number or the message is no text.
    """
    try:
        finite = progress is None or isfinite(progress)
    except Exception:  # noqa: BLE001 - whatever is no number
        finite = False
    if not finite or type(message) is not str:
        Update(progress, message)  # which raises, unless it is another kind of text
    if (step := current_step.get()) is None:
        return
    if data is None and step.live:
        step.said = (progress, message, None)
        if step.live:  # still: it wasn't taken meanwhile
            return
    if step := find_step():
        step.reporter.report(step.nearest_open, progress, message, data)


def output(text: str, end: str = "") -> None:
    """Say something beside how far the current task is: a line of a log, a piece of a text.

    Viewers get all of it, in its order, also between reports. A thread that is faster than the server
    waits; in the event loop it goes straight to the bounded log. Outside of a task, it is printed.

    Raises `asyncio.CancelledError` once the task is cancelled; `TypeError`, also outside of a task, for
    what is no text.
    """
    check_text("Output", text)
    check_text("Output", end)
    if step := find_step():
        step.reporter.output(text + end)
    else:
        sys.stdout.write(text + end)


def track(
    iterable: Iterable[Item],
    description: str = "Working",
    total: float | None = None,
    *,
    unit: str | None = None,
) -> Iterator[Item]:
    """The items, with a report before each and after the last: `Resizing: 3 of 20`.

    `total` is the number of items, if `iterable` has no length; without any, the reports count the items
    and the percentage stays as it is. `unit` is what they are, such as "pages". Inside of another `track`,
    this is how far its current item is. Outside of a task, draws a bar if stderr is a terminal.

    Raises `asyncio.CancelledError` between two items once the task is cancelled.
    """
    count = total if total is not None else length_hint(iterable) or None
    if (here := find_step()) is None:
        from rich.console import Console  # here, because only programs on a terminal need it
        from rich.progress import track as draw

        console = Console(stderr=True)
        yield from draw(iterable, description, count, console=console, disable=not console.is_terminal)
        return
    step = Step(here, description, count, unit)
    report_step, done, moved = step.reporter.report, 0, None
    try:
        for item in iterable:
            if step.said is moved and step.live:
                step.done = done
            if step.said is not moved or not step.live:
                moved = report_step(step, done=done)
            yield item
            done += 1
        report_step(step, done=done)
    finally:
        step.close()


class OutputHandler(logging.Handler):
    """Turns each record into a line of output of the current task; outside of a task, it does nothing.

    Without a formatter, the line is the level and the message: tracebacks are for the log of the server.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Take in a record; without a lock: a thread that has to wait here must not make others wait."""
        accepted: Any = self.filter(record)  # from Python 3.12 on, perhaps another record
        if accepted:
            self.emit(record if accepted is True else accepted)
        return bool(accepted)

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record to the output of a task that has not ended."""
        step = find_step()
        if step is None or record.name.partition(".")[0] == __package__:
            return  # what the package says of a task that failed is for the server's log as well
        try:
            line = self.format(record) if self.formatter else f"{record.levelname} {record.getMessage()}"
        except Exception:  # noqa: BLE001 - logging decides what becomes of it
            self.handleError(record)
            return
        with suppress(asyncio.CancelledError):  # a logging handler never raises
            step.reporter.output(f"{line}\n")
