"""The timeline of a scenario: what happened, to whom, and when; and where two of them part."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

PART_SECONDS = 0.5
"""Moments that are further apart than this are not the same."""


class Kind(StrEnum):
    """What can happen."""

    REQUEST = "request"
    RESPONSE = "response"
    BYTES = "bytes"
    EVENT = "event"
    END = "end"
    CUT = "cut"
    WAIT = "wait"
    SILENCE = "silence"
    CLOSED = "closed"
    WORK = "work"
    SERVER = "server"
    PAGE = "page"


SEEN = frozenset(Kind) - {Kind.BYTES}
"""What is compared: how events are spread over pieces of bytes is up to the network."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened: seconds after the start, to this viewer ("" is the server)."""

    at: float
    viewer: str
    kind: Kind
    text: str

    def __str__(self) -> str:
        """The same as a line for a terminal."""
        return f"{self.at:5.1f} s  {self.viewer:2} {self.kind:8}  {self.text}"


class Timeline:
    """The moments of one scenario, in their order."""

    def __init__(self, on_moment: Callable[[Moment], object] = lambda _: None) -> None:
        """`on_moment` is called with each moment when it happens."""
        self.moments: list[Moment] = []
        self.duration = math.inf
        self._on_moment = on_moment
        self._started = time.monotonic()

    def start(self) -> None:
        """Begin: forget what was before, and count the seconds from now on."""
        self.moments.clear()
        self._started = time.monotonic()

    def stop(self) -> None:
        """End: what would have happened from now on is unknown."""
        self.duration = time.monotonic() - self._started

    def add(self, viewer: str, kind: Kind, text: str) -> None:
        """Note what has just happened."""
        moment = Moment(round(time.monotonic() - self._started, 3), viewer, kind, text)
        self.moments.append(moment)
        self._on_moment(moment)

    def of(self, *kinds: Kind, viewer: str | None = None) -> list[str]:
        """The texts of these kinds of moments, of one viewer or of all."""
        return [
            moment.text
            for moment in self.moments
            if moment.kind in kinds and viewer in (None, moment.viewer)
        ]

    def seen_by(self, viewer: str) -> list[Moment]:
        """What one viewer could see."""
        return [each for each in self.moments if each.viewer == viewer and each.kind in SEEN]

    @property
    def viewers(self) -> list[str]:
        """The names of the viewers."""
        return sorted({moment.viewer for moment in self.moments} - {""})


@dataclass(frozen=True, slots=True)
class Parting:
    """The first moment at which one viewer sees different things: one side may have seen nothing more."""

    broken: Moment | None
    fixed: Moment | None

    @property
    def viewer(self) -> str:
        """Whose moment it is; "" is the server's."""
        return next(moment.viewer for moment in (self.broken, self.fixed) if moment)

    @property
    def is_only_late(self) -> bool:
        """Whether the same happens on both sides, at different times."""
        return bool(self.broken and self.fixed and same(self.broken, self.fixed))

    @property
    def at(self) -> float:
        """When it is, on the axis that both sides share."""
        return min(moment.at for moment in (self.broken, self.fixed) if moment)


def part(broken: Timeline, fixed: Timeline) -> Parting | None:
    """Where they part for a viewer or, if all viewers see the same, in what the servers do; or `None`."""
    viewers = sorted({*broken.viewers, *fixed.viewers})
    found = [parting for viewer in viewers if (parting := part_of(viewer, broken, fixed))]
    return min(found, key=lambda parting: parting.at, default=None) or part_of("", broken, fixed)


def part_of(viewer: str, broken: Timeline, fixed: Timeline) -> Parting | None:
    """Where they part for one viewer; `None` if it sees the same, at about the same time."""
    end = min(broken.duration, fixed.duration) - PART_SECONDS
    for one, other in zip_longest(broken.seen_by(viewer), fixed.seen_by(viewer)):
        parting = Parting(one, other)
        if one is None or other is None:
            # One side has nothing more: that may be because it was over.
            return parting if parting.at < end else None
        if differ(one, other):
            return parting
    return None


def differ(one: Moment, other: Moment) -> bool:
    """Whether a viewer would tell them apart."""
    return not same(one, other) or abs(one.at - other.at) > PART_SECONDS


def same(one: Moment, other: Moment) -> bool:
    """Whether they are the same but for their time."""
    return (one.kind, comparable(one.text)) == (other.kind, comparable(other.text))


def comparable(text: str) -> str:
    """A text without the path that names the side, and without spaces, which JSON may have or not."""
    return re.sub(r"(GET|POST) /(broken|fixed|stream)\b|\s", r"\1", text)
