"""Steps: what a task counts, in a tree, as functions that count call others that count.

The task holds the tree; the context variable only names a step in it, which may have been closed since.
"""

from contextvars import ContextVar
from math import inf
from threading import get_ident
from typing import TYPE_CHECKING, SupportsFloat

from taskstream.encoding import plain_text
from taskstream.events import Count
from taskstream.updates import InvalidUpdate

if TYPE_CHECKING:
    from taskstream.bridge import Reporter

MAX_COUNTS = 4
"""Steps that a snapshot has: the outermost ones, and the innermost."""

BYTES = ("B", "kB", "MB", "GB", "TB", "PB")


class Step:
    """Something that is counted in a task, inside of the current item of its parent.

    The root is the task's reporter: a single item, for what is said in percent and not counted.
    """

    reporter: "Reporter"
    parent: "Step | None" = None
    done: float = 0
    inner: float = 0
    """Percent of the current item that are done: of all that was said in it, the furthest."""
    closed: bool  # no default: an attribute that its class has too is looked up slowly

    def __init__(self, label: object, total: SupportsFloat | None, unit: object, here: "Step") -> None:
        """Open it inside of the one that the context names, and have the context name this one.

        In another thread, a context that names none stands for the outermost step.
        """
        self.reporter, self.closed = here.reporter, False
        self.parent = here.nearest_open
        self.thread = get_ident()
        self.describe(label, total, unit)
        outermost = self.reporter.outermost
        if outermost is None or outermost.closed:
            self.reporter.outermost = self
        elif self.parent.parent is None and outermost.thread != self.thread:
            self.parent = outermost
        current_step.set(self)

    def describe(self, label: object, total: SupportsFloat | None, unit: object) -> None:
        """Say what is counted. A total that isn't a positive number isn't known."""
        self.label = plain_text(str(label))
        self.unit = plain_text(str(unit)) if unit else None
        try:
            number = float(0 if total is None else total)
        except OverflowError:
            number = inf
        except (TypeError, ValueError):
            raise InvalidUpdate(f"The total has to be a number, not {type(total).__name__}") from None
        self.total = (int(number) if number.is_integer() else number) if 0 < number < inf else None

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
        """What is counted, outermost first."""
        counts: list[Count] = []
        step = self
        while step.parent:
            if len(counts) == MAX_COUNTS:
                del counts[1]
            counts.append(step.count())
            step = step.parent
        return counts[::-1]

    def count(self) -> Count:
        """How far this step is. If more is done than there should be, the total isn't known."""
        total = None if self.total and self.done > self.total else self.total
        count: Count = {"label": self.label, "done": self.done, "total": total}
        if self.unit:
            count["unit"] = self.unit
        return count

    def words(self) -> str:
        """How far this step is, in words: `Files: 3 of 20`, `Lines: 1,204`, `Model: 3.1 of 12 MB`."""
        done, total, unit = self.done, self.total, self.unit
        if total and done > total:
            total = None
        if unit == "B":
            power = next((n for n in range(5, 0, -1) if (total or done) >= 1000**n), 0)
            done, total, unit = done / 1000**power, total and total / 1000**power, BYTES[power]
        numbers = in_words(done) if total is None else f"{in_words(done)} of {in_words(total)}"
        return f"{self.label}: {numbers} {unit}" if unit else f"{self.label}: {numbers}"


def in_words(number: float) -> str:
    """A number for people: 1,204 or 3.1."""
    return f"{number:,}" if type(number) is int else f"{number:,.1f}".removesuffix(".0")


current_step: ContextVar[Step | None] = ContextVar("taskstream_step", default=None)
"""Where what is said in this context belongs; `None` outside of a task."""
