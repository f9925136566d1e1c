"""What work hands over while it runs, and in the end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import isfinite
from typing import Protocol, Self


class WorkError(Exception):
    """A failure in words meant for people: they reach every viewer."""


class InvalidUpdate(WorkError, TypeError):
    """Something that work says is not of the type that it has to be."""


@dataclass(frozen=True, slots=True)
class Update:
    """How far some work has come: in percent, in words, and in whatever JSON it wants to add."""

    progress: float
    message: str
    data: object = None

    def __post_init__(self) -> None:
        check_update(self.progress, self.message)


@dataclass(frozen=True, slots=True)
class Output:
    """Some text that work has to say beside how far it is: viewers get all of it, in its order."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise not_text("Output", self.text)


@dataclass(frozen=True, slots=True)
class Result:
    """What some work hands over at its end, if it has anything to hand over."""

    data: object = None
    message: str = "Done"

    def __post_init__(self) -> None:
        if not isinstance(self.message, str):
            raise not_text("The message", self.message)

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


def check_update(progress: float, message: str) -> None:
    """Raise `InvalidUpdate` unless these are a finite number and text."""
    if not isinstance(message, str):
        raise not_text("The message", message)
    try:
        valid = isfinite(progress)
    except Exception:  # noqa: BLE001 - whatever the methods of something else raise
        valid = False
    if not valid:
        wrong = progress if isinstance(progress, float) else kind_of(progress)
        raise InvalidUpdate(f"The progress has to be a finite number (percent), not {wrong}")


def not_text(what: str, value: object) -> InvalidUpdate:
    """The error for a value that should be text."""
    return InvalidUpdate(f"{what} has to be text (str), not {kind_of(value)}")


def kind_of(value: object) -> str:
    """What a sentence calls a value, whose own text is not for viewers."""
    return "None" if value is None else type(value).__name__
