"""What the log of a task is made of: numbered events, most of them snapshots."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NotRequired

import pydantic_core
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12


class TaskStatus(StrEnum):
    """The states of a task, in Celery's words; one of the last three is its end."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    PROGRESS = "PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"

    @property
    def ended(self) -> bool:
        """Whether no other state follows."""
        return self in ENDED


ENDED = frozenset((TaskStatus.SUCCESS, TaskStatus.FAILURE, TaskStatus.REVOKED))


class Count(TypedDict):
    """How far something has come that a task counts; its total is null where it isn't known."""

    label: str
    done: int | float  # both: of a `float` pydantic makes 3.0 where 3 is meant
    total: int | float | None
    unit: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there is to show of a task at one moment."""

    task_id: str
    name: str
    status: TaskStatus
    progress: int = 0
    message: str = ""
    steps: list[Count] = field(default_factory=list)
    """What is counted at the moment, outermost first."""
    data: object = None
    started_at: str | None = None
    updated_at: str = ""

    @classmethod
    def from_json(cls, data: bytes) -> "Snapshot":
        """The snapshot that is the data of an event, perhaps of another version of this package."""
        fields = pydantic_core.from_json(data)
        known = {name: fields[name] for name in cls.__match_args__ if name in fields}
        return cls(**{**known, "status": TaskStatus(fields["status"])})


class Kind(StrEnum):
    """What an event is, so that whoever passes it on need not look into its data."""

    SNAPSHOT = ""
    LAST = "last"
    """The snapshot after which no event follows."""
    OUTPUT = "output"
    LOST = "lost"
    """In the place of events that are gone."""


class Event(NamedTuple):
    """One event of a task: a snapshot, or output, or the numbers of events that are gone."""

    id: int
    """Its number, from 1; of those that are gone, the last one."""
    kind: Kind
    data: bytes
    """One line of JSON."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot, if it is one."""
        return Snapshot.from_json(self.data) if self.kind in (Kind.SNAPSHOT, Kind.LAST) else None

    @property
    def output(self) -> str | None:
        """The text, if it is output."""
        return str(pydantic_core.from_json(self.data)["text"]) if self.kind is Kind.OUTPUT else None

    @property
    def lost(self) -> range | None:
        """The numbers of the events that are gone, if it stands in their place."""
        if self.kind is not Kind.LOST:
            return None
        numbers = pydantic_core.from_json(self.data)
        return range(numbers["from"], numbers["to"] + 1)

    @classmethod
    def of_lost(cls, first: int, last: int) -> "Event":
        """What stands in the place of these events."""
        return cls(last, Kind.LOST, b'{"from":%d,"to":%d}' % (first, last))
