"""The history of a run: what every client, every piece of work and the nemesis have observed."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Self


class What(StrEnum):
    """What was observed."""

    START = "start"
    """A request to start a task was answered, or was not."""
    CANCEL = "cancel"
    STATUS = "status"
    HEALTH = "health"
    OPEN = "open"
    """A viewer has asked for a stream, with `data` for its Last-Event-ID; without a task, of many."""
    EVENT = "event"
    LOST = "lost"
    """A viewer was told that the events from `number` to `until` are not to be had."""
    CLOSE = "close"
    """A stream has come to an end: by the server's word (ok), or was cut."""
    GLANCE = "glance"
    """A viewer of many tasks has seen the latest snapshot of one, or was told that there is none."""
    BEGUN = "begun"
    """Some work has begun to run; it says so itself."""
    ENDED = "ended"
    FAULT = "fault"
    """The nemesis has done something. What it does to workers has a label that begins with `worker`."""
    HEALED = "healed"
    RECOVERED = "recovered"
    """Tasks can be started, and run to their end, through every server again; since `since`."""
    LOSS = "loss"
    """Redis has lost what it was told after `since`; between `at` and `until`."""
    CALM = "calm"
    """The last fault is over."""
    LIMITS = "limits"
    """The limits of the cluster, in `data`."""
    DIED = "died"
    """A program is not there in the end, though nobody has killed it since it was started last."""
    FINAL_EVENT = "final event"
    """What Redis itself has in the end; as are the next two."""
    FINAL_STATUS = "final status"
    FINAL_HEALTH = "final health"


class Outcome(StrEnum):
    """What became of a request."""

    OK = "ok"
    FAIL = "fail"
    """It was refused: nothing has happened."""
    UNKNOWN = "unknown"
    """It may have happened, or may happen yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One line of a history. Times are in seconds, by one clock for all."""

    at: float
    who: str = ""
    what: What
    outcome: Outcome = Outcome.OK
    task: str = ""
    label: str = ""
    """Of work: its unique name, which is that of its task too. Of a fault: what it is."""
    key: str = ""
    """The idempotency key of a start; of work that begins, its secret parameter, which is its label."""
    number: int = 0
    """The number of an event; of work, the descriptors of its process at first, its lines in the end."""
    until: float = 0
    since: float = 0
    """When the request was sent."""
    status: int = 0
    """The status of an answer in HTTP."""
    kind: str = ""
    """`output`, for an event that is no snapshot."""
    data: str = ""
    """The data of an event, or an answer."""

    def to_json(self) -> str:
        """One line, without what is as always."""
        return json.dumps({name: value for name, value in asdict(self).items() if value != DEFAULTS[name]})

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read a line."""
        values = json.loads(line)
        outcome = Outcome(values.pop("outcome", Outcome.OK))
        return cls(what=What(values.pop("what")), outcome=outcome, **values)


DEFAULTS = {field.name: field.default for field in fields(Observation)}


def read_history(lines: Iterable[str]) -> list[Observation]:
    """Some lines, in the order in which they were observed."""
    return sorted((Observation.from_json(line) for line in lines), key=lambda each: each.at)
