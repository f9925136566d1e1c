"""Steps: what a task counts, in a tree, as functions that count call others that count.

The task holds the tree; the context variable only names a step in it, which may have been closed since.
"""

import os
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, SupportsFloat

from taskstream.encoding import Json, plain_text
from taskstream.events import Count
from taskstream.updates import InvalidUpdate

if TYPE_CHECKING:
    from taskstream.bridge import Reporter

MAX_COUNTS = 4
"""Steps that a snapshot has: the outermost ones, and the innermost."""

BYTES = ("B", "kB", "MB", "GB", "TB", "PB")

Said = tuple[float | None, str | None, Json | None]
"""Percent of the current item, words and data; without words, that the step is at another item."""

NOTHING: Said = (None, "", None)


class Step:
    """Something that is counted in a task, inside of the current item of its parent.

    The root is the task's reporter: a single item, for what is said in percent and not counted.
    """

    reporter: "Reporter"
    parent: "Step | None" = None
    done: float = 0
    inner: float = 0
    """Percent of the current item that are done: of all that was said in it, the furthest."""
    # These have no defaults: an attribute that its class has too is looked up slowly.
    closed: bool
    said: Said
    """What was said in it last."""
    live: bool
    """Whether that is the latest of its task, and the loop will take it, or what it is replaced by."""

    def __init__(
        self, here: "Step", label: object, total: SupportsFloat | None, unit: object = None
    ) -> None:
        """Open it inside of the one that the context names, and have the context name this one.

        In another thread, a context that names none stands for the outermost step.
        """
        self.reporter, self.closed, self.said, self.live = here.reporter, False, NOTHING, False
        self.parent = here.nearest_open
        self.thread = get_ident()
        self.describe(label, total, unit)
        outermost = self.reporter.outermost
        if outermost is None or outermost.closed:
            self.reporter.outermost = self
        elif self.parent is self.reporter and outermost.thread != self.thread:
            self.parent = outermost
        current_step.set(self)

    def describe(self, label: object, total: SupportsFloat | None, unit: object) -> None:
        """Say what is counted. A total that isn't a positive number, or a huge one, isn't known."""
        self.label, self.unit = plain_text(str(label)), plain_text(str(unit)) if unit else None
        try:
            number = float(0 if total is None else total)
        except OverflowError:
            number = 0
        except (TypeError, ValueError):
            raise InvalidUpdate(f"The total has to be a number, not {type(total).__name__}") from None
        known = 0 < number < 2**53  # up to which JavaScript counts
        self.total = (int(number) if number.is_integer() else number) if known else None

    @property
    def nearest_open(self) -> "Step":
        """The nearest around what is said in this step that is open: mostly itself."""
        step = self
        while step.closed and step.parent:
            step = step.parent
        return step

    def advance(self, percent: float | None) -> float:
        """Take so many percent of the current item for done, unless more are; percent of the whole."""
        step, done = self, 0.0 if percent is None else min(100, float(percent))
        while True:
            if done > step.inner:
                step.inner = done
            if step.parent is None:
                return step.inner
            done = (100 * step.done + step.inner) / step.total if step.total else 0
            if done > 100:
                done = 100
            step = step.parent

    def counts(self) -> list[Count]:
        """What is counted, outermost first. If more is done than there should be, the total isn't known."""
        counts: list[Count] = []
        step = self
        while step.parent:
            total = None if step.total and step.done > step.total else step.total
            count: Count = {"label": step.label, "done": step.done, "total": total}
            if step.unit:
                count["unit"] = step.unit
            counts.append(count)
            step = step.parent
        counts.reverse()
        if len(counts) > MAX_COUNTS:
            del counts[MAX_COUNTS - 1 : -1]
        return counts

    def close(self) -> None:
        """Pass over it from now on."""
        self.live, self.closed = False, True


def in_words(count: Count) -> str:
    """How far something is: `Files: 3 of 20`, `Lines: 1,204`, `Model: 3.1 of 12 MB`."""
    numbers, unit = [count["done"], count["total"]], count.get("unit")
    if unit == "B":
        power = next((n for n in range(5, 0, -1) if (numbers[1] or numbers[0]) >= 1000**n), 0)
        numbers, unit = [each and each / 1000**power for each in numbers], BYTES[power]
    shown = [f"{each:,.1f}".removesuffix(".0") for each in numbers if each is not None]
    return " ".join(filter(None, (f"{count['label']}:", " of ".join(shown), unit)))


current_step: ContextVar[Step | None] = ContextVar("taskstream_step", default=None)
"""Where what is said in this context belongs; `None` outside of a task."""


def find_step() -> Step | None:
    """The step that the context names; none in a forked process, where nobody reads what is said."""
    step = current_step.get()
    return step if step and step.reporter.process_id == os.getpid() else None
