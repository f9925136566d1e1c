"""A history, arranged for those who check it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from benchmarks.chaos.history import Observation, Outcome, What
from benchmarks.chaos.limits import Limits

LAST = ("SUCCESS", "FAILURE", "REVOKED")

NUMBERED = (What.EVENT, What.FINAL_EVENT)


@lru_cache(maxsize=100_000)
def snapshot_of(data: str) -> dict[str, Any]:
    """The snapshot that is the data of an event."""
    snapshot: dict[str, Any] = json.loads(data)
    return snapshot


def is_last(observation: Observation) -> bool:
    """Whether it is an event that ends a task."""
    return (
        observation.what in NUMBERED
        and not observation.kind
        and snapshot_of(observation.data)["status"] in LAST
    )


class Facts:
    """What there is in a history, by task, by viewer, by kind."""

    def __init__(self, history: Sequence[Observation]) -> None:
        self.history = history
        self.by_task: dict[str, list[Observation]] = defaultdict(list)
        self.views: dict[tuple[str, str], list[Observation]] = defaultdict(list)
        """What each viewer has seen of each task."""
        self.glances: dict[tuple[str, str], list[Observation]] = defaultdict(list)
        """The same of viewers of many tasks, whose events have no numbers."""
        self.started: dict[str, Observation] = {}
        """The first answer that named a task."""
        self._asked: dict[str, float] = {}
        """When each task was asked for first, by its label."""
        self._by_what: dict[What, list[Observation]] = defaultdict(list)
        for each in history:
            self._by_what[each.what].append(each)
            if each.task:
                self.by_task[each.task].append(each)
            if each.task and each.what in (What.OPEN, What.EVENT, What.LOST, What.CLOSE):
                self.views[each.who, each.task].append(each)
            if each.what is What.START:
                self._asked[each.label] = min(each.since, self._asked.get(each.label, each.since))
            if each.what is What.GLANCE:
                self.glances[each.who, each.task].append(each)
            if each.what is What.START and each.outcome is Outcome.OK:
                self.started.setdefault(each.task, each)
        self.losses = self._by_what[What.LOSS]
        self.limits = next((Limits.from_json(each.data) for each in self.of(What.LIMITS)), Limits())
        self.calm_at = max((each.at for each in self.of(What.CALM)), default=0.0)

    def of(self, *what: What) -> list[Observation]:
        """All observations of these kinds."""
        return [each for kind in what for each in self._by_what[kind]]

    def last_events(self, task: str) -> list[Observation]:
        """All sightings of the end of a task."""
        return [each for each in self.by_task[task] if is_last(each)]

    def ended_at(self, task: str) -> float | None:
        """When anybody saw the end of a task first."""
        return min((each.at for each in self.last_events(task)), default=None)

    def numbers(self, task: str) -> dict[str, int]:
        """The number of each snapshot of a task, as far as it was seen with one."""
        return {
            each.data: each.number for each in self.by_task[task] if each.what in NUMBERED and not each.kind
        }

    def final_events(self) -> dict[str, list[Observation]]:
        """What Redis has of each task in the end, in order."""
        logs: dict[str, list[Observation]] = defaultdict(list)
        for each in self.of(What.FINAL_EVENT):
            logs[each.task].append(each)
        return {task: sorted(events, key=lambda each: each.number) for task, events in logs.items()}

    def may_be_lost(self, told: Observation, asked_at: float) -> bool:
        """Whether Redis may have lost by `asked_at` what it was told in this request."""
        return any(
            told.at >= loss.since and told.since <= loss.until and asked_at >= loss.at
            for loss in self.losses
        )

    def rolled_back(self, task: str) -> bool:
        """Whether Redis has lost some of what happened to a task, or all."""
        observed = [each.at for each in self.by_task[task] if each.what is not What.FINAL_EVENT]
        ended_at = self.ended_at(task)
        return any(
            min(observed, default=0) <= loss.until and (ended_at is None or ended_at >= loss.since)
            for loss in self.losses
        )

    def cancelled(self, task: str) -> bool:
        """Whether anybody has asked for the end of a task."""
        return any(each.what is What.CANCEL for each in self.by_task[task])

    def struck(self, task: str, until: float) -> bool:
        """Whether something may have happened by then to the worker of a task."""
        first = self.by_task[task][0]
        began_at = 0 if first.what is What.FINAL_EVENT else first.at  # nobody has seen it while it ran
        if task in self.started:  # perhaps by a request whose answer was lost
            began_at = min(began_at, self._asked[self.started[task].label])
        return self.rolled_back(task) or any(
            label.startswith("worker") and start <= until and over >= began_at
            for label, start, over in self.faults()
        )

    def lost_before(self, seen: Observation) -> bool:
        """Whether Redis may have forgotten, before this was seen, what had happened to its task."""
        began_at = self.by_task[seen.task][0].at
        return any(began_at <= loss.until and seen.at >= loss.at for loss in self.losses)

    def loss_between(self, first: Observation, second: Observation) -> bool:
        """Whether Redis may have forgotten the first before the second happened."""
        return any(
            first.at >= loss.since and first.at <= loss.until and second.at >= loss.at
            for loss in self.losses
        )

    def faults(self) -> Iterator[tuple[str, float, float]]:
        """All faults: what they are, when they began, when they were over."""
        for fault in self.of(What.FAULT):
            healed = [
                each.at
                for each in self.of(What.HEALED)
                if each.label == fault.label and each.at >= fault.at
            ]
            yield fault.label, fault.at, min(healed, default=float("inf"))


def first_of(observations: Iterable[Observation]) -> Observation:
    """The earliest of some observations."""
    return min(observations, key=lambda each: each.at)
