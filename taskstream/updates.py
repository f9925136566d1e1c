"""What work hands over while it runs, and in the end."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from inspect import isasyncgen, iscoroutine
from math import isfinite


class WorkError(Exception):
    """A failure in words meant for people: they reach every viewer."""


class InvalidUpdate(WorkError, TypeError):
    """Something that work says is not of the type that it has to be."""


@dataclass(frozen=True, slots=True)
class Update:
    """How far some work has come: in percent, in words, and in whatever JSON it wants to add.

    Without a percentage (`None`) it says words alone. Raises `TypeError` if the progress is something else
    than a finite number, or the message no text.
    """

    progress: float | None
    message: str
    data: object = None

    def __post_init__(self) -> None:
        if self.message.__class__ is not str:  # no call on the way of an event
            check_text("The message", self.message)
        try:
            if self.progress is None or isfinite(self.progress):
                return
            wrong = str(float(self.progress))
        except (TypeError, ValueError, OverflowError):
            wrong = type(self.progress).__name__
        raise InvalidUpdate(f"The progress has to be a finite number (percent), not {wrong}")


@dataclass(frozen=True, slots=True)
class Output:
    """Some text that work has to say beside how far it is: viewers get all of it, in its order."""

    text: str

    def __post_init__(self) -> None:
        check_text("Output", self.text)


@dataclass(frozen=True, slots=True)
class Result:
    """What some work hands over at its end, if it has anything to hand over."""

    data: object = None
    message: str = "Done"

    def __post_init__(self) -> None:
        check_text("The message", self.message)

    @classmethod
    def of(cls, value: object) -> "Result":
        """The result of a function that has returned this value."""
        if iscoroutine(value):
            value.close()
            raise InvalidUpdate(
                f"The work returned the coroutine {value.__qualname__}(…): an `await` is missing; or, in a "
                "thread, `tasks.sync`"
            )
        if isasyncgen(value):
            raise InvalidUpdate(
                f"The work returned the async generator {value.__qualname__}(…), and none of it has run: "
                "yield what it yields; a decorator needs `functools.wraps`"
            )
        return value if isinstance(value, Result) else cls(value)


Updates = AsyncGenerator[Update | Output | Result, None]
"""What work yields."""


def check_text(what: str, value: object) -> None:
    """Raise `InvalidUpdate` for what should be text."""
    if not isinstance(value, str):
        raise InvalidUpdate(f"{what} has to be text (str), not {type(value).__name__}")
