"""What work hands over while it runs, and in the end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Update:
    """How far some work has come: in percent, in words, and in whatever JSON it wants to add."""

    progress: float
    message: str
    data: object = None


@dataclass(frozen=True, slots=True)
class Output:
    """Some text that work has to say beside how far it is: viewers get all of it, in its order."""

    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """What some work hands over at its end, if it has anything to hand over."""

    data: object = None
    message: str = "Done"

    @classmethod
    def of(cls, value: object) -> "Result":
        """The result of a function that has returned this value."""
        return value if isinstance(value, Result) else cls(value)


class Updates(Protocol):
    """One run of some work: an async generator of updates, or what behaves like one."""

    def __aiter__(self) -> Self:
        """Itself."""

    async def __anext__(self) -> Update | Output | Result:
        """The next update. What raises anything but `StopAsyncIteration` has failed."""

    async def aclose(self) -> None:
        """Stop the work, or let it never begin."""


Begin = Callable[[], Awaitable[Updates]]
"""Prepares a run as soon as there is a place for it; the work begins when the run is iterated."""


class WorkError(Exception):
    """A failure in words meant for people: they reach every viewer."""
