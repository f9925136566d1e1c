"""The checker of `benchmarks/chaos` against histories that were written by hand, good and bad."""

import json
from typing import Any

import pytest

from benchmarks.chaos.checker import check
from benchmarks.chaos.history import Observation, Outcome, What, read_history
from benchmarks.chaos.limits import Limits


def snapshot(status: str, message: str = "", name: str = "work-1") -> str:
    """The data of an event."""
    return json.dumps({"task_id": "a", "name": name, "status": status, "message": message})


PENDING, STARTED, SUCCESS, REVOKED = map(snapshot, ("PENDING", "STARTED", "SUCCESS", "REVOKED"))
FAILURE = snapshot("FAILURE", "Failed on purpose")
LOST = snapshot("FAILURE", "Worker lost")


def of(what: What, at: float, who: str = "viewer-1", task: str = "a", **about: Any) -> Observation:
    """What somebody has observed."""
    return Observation(what=what, at=at, who=who, task=task, **about)


def seen(number: int, data: str, at: float = 0, who: str = "viewer-1", **about: Any) -> Observation:
    """An event, as a viewer has seen it."""
    return of(What.EVENT, at or number, who, number=number, data=data, **about)


def final(number: int, data: str, **about: Any) -> Observation:
    """An event, as Redis has it in the end."""
    return of(What.FINAL_EVENT, 90, "redis", number=number, data=data, **about)


def start(at: float = 0.5, task: str = "a", **about: Any) -> Observation:
    """An answer to a start."""
    return of(What.START, at, "s1", task, label="work-1", data=PENDING if task else "", **about)


def work(what: What, at: float, label: str = "work-1", **about: Any) -> Observation:
    """What some work says of itself."""
    return of(what, at, "process 7", "", label=label, key=label, **about)


def fault(label: str, at: float, until: float) -> list[Observation]:
    """A fault, and its repair."""
    return [
        of(What.FAULT, at, "nemesis", "", label=label),
        of(What.HEALED, until, "nemesis", "", label=label),
    ]


def loss(at: float, until: float, since: float = 0) -> Observation:
    """What Redis was told after `since` is gone."""
    return of(What.LOSS, at, "nemesis", "", since=since, until=until)


def calm(at: float) -> Observation:
    """The end of all faults."""
    return of(What.CALM, at, "nemesis", "")


def limits(**about: int) -> Observation:
    """The limits of the cluster."""
    return of(What.LIMITS, 0, "cluster", "", data=Limits(**about).to_json())


def refusal(at: float) -> Observation:
    """A start for which there is no place."""
    return of(What.START, at, "s1", "", outcome=Outcome.FAIL, label="work-2", since=at - 0.1, status=503)


def health(at: float, tasks: int, running: int, what: What = What.HEALTH) -> Observation:
    """What a server says of itself."""
    return of(what, at, "s1", "", status=200, data=json.dumps({"tasks": tasks, "running": running}))


def final_health(tasks: int, running: int) -> Observation:
    """The same at the end."""
    return health(91, tasks, running, What.FINAL_HEALTH)


FINISHED = [seen(1, PENDING), seen(2, STARTED), seen(3, SUCCESS)]
SEEN_LATE = [seen(1, PENDING, 81, "v2"), seen(2, STARTED, 82, "v2"), seen(3, SUCCESS, 83, "v2")]
IN_REDIS = [final(1, PENDING), final(2, STARTED), final(3, SUCCESS)]
RAN = [work(What.BEGUN, 2), work(What.ENDED, 2.9)]
UNKNOWN: dict[str, Any] = {"status": 404, "outcome": Outcome.FAIL}
SHORT = limits(retention_seconds=5)
SMALL = limits(max_tasks=1)

SAID = [final(1, PENDING), final(2, '{"text":"a\\nb\\n"}', kind="output"), final(3, SUCCESS)]

GOOD = {
    "all that was said": [*SAID, work(What.ENDED, 3, number=2)],
    "a whole life": [
        *(start(), *FINISHED, *RAN, *IN_REDIS),
        *(final_health(1, 0), of(What.FINAL_STATUS, 91, data=SUCCESS)),
    ],
    "waited for a worker": [
        *(final(1, PENDING), final(2, snapshot("PENDING", "Waiting. No worker answers: is one running?"))),
        *(final(3, STARTED), final(4, SUCCESS)),
    ],
    "told of a gap, with the latest snapshot": [
        of(What.LOST, 1, number=1, until=7),
        seen(4, STARTED),
        seen(8, "{}", kind="output"),
        seen(9, SUCCESS),
    ],
    "told of two gaps in a row": [
        *(seen(1, PENDING), of(What.LOST, 2, number=2, until=3)),
        *(of(What.LOST, 2, number=4, until=4), seen(5, SUCCESS)),
    ],
    "a gap where Redis has more than a server keeps": [
        *(seen(1, PENDING), of(What.LOST, 2, number=2, until=2), seen(3, SUCCESS)),
        *(final(1, PENDING), final(2, json.dumps({"text": "x" * 2**20}), kind="output"), final(3, SUCCESS)),
    ],
    "replayed after Redis had lost the end": [
        *(*FINISHED[:2], loss(2.5, 3, since=1)),
        *(seen(1, PENDING, 4), seen(2, STARTED, 5), seen(3, FAILURE, 6)),
    ],
    "another end after a loss": [
        *FINISHED,
        loss(4, 5, since=2.5),
        final(1, PENDING),
        final(2, STARTED),
        final(1_000_000_003, FAILURE),
    ],
    "vanished in a flush": [start(), seen(1, PENDING), loss(2, 3), of(What.OPEN, 4, since=3.5, **UNKNOWN)],
    "a key that is sent twice": [start(1, key="k"), start(2, key="k"), *FINISHED],
    "begun again after a roll-back": [work(What.BEGUN, 2), loss(3, 4, since=1), work(What.BEGUN, 5)],
    "lost with its worker": [*fault("worker-killed", 1, 2), seen(1, PENDING), seen(2, LOST, 14)],
    "a refusal": [start(task="", outcome=Outcome.FAIL)],
    "an unknown start that began": [start(task="", outcome=Outcome.UNKNOWN), *RAN],
    "cancelled": [seen(1, PENDING), of(What.CANCEL, 2, data=REVOKED), seen(2, REVOKED)],
    "an overview": [*FINISHED, of(What.GLANCE, 2, data=PENDING), of(What.GLANCE, 3, data=SUCCESS)],
    "expired": [
        *(SHORT, start(), *FINISHED, *RAN),
        *(of(What.OPEN, 8, since=7.9, **UNKNOWN), final_health(0, 0)),
    ],
    "expired, as it was cancelled": [
        SHORT,
        start(since=0.4),
        of(What.CANCEL, 1, outcome=Outcome.UNKNOWN),
        of(What.STATUS, 7, since=6.9, **UNKNOWN),
    ],
    "has made room": [
        *(SMALL, start(), *FINISHED, *RAN, start(4, "b", since=3.5)),
        of(What.STATUS, 4.5, since=4.2, **UNKNOWN),
        health(4.6, 1, 1),
    ],
    "a key of what has made room": [
        *(SMALL, start(1, key="k"), *FINISHED, *RAN),
        *(start(4, "b", since=3.5), start(5, "c", since=4.8, key="k"), work(What.BEGUN, 5.5)),
    ],
    "no place": [SMALL, start(), *FINISHED, *RAN, refusal(2)],
    "a place that is taken again": [SMALL, start(), *FINISHED, loss(4, 4.5, since=2.5), refusal(5)],
    "late, but not later than the faults": [*FINISHED, calm(80), *SEEN_LATE],
}

BAD = {
    "a gap that is none": ([*IN_REDIS, of(What.LOST, 3, number=1, until=2)], "true gaps"),
    "less than was said": ([*SAID, work(What.ENDED, 3, number=3)], "whole texts"),
    "another secret": ([of(What.BEGUN, 1, label="a", key="***")], "same parameters"),
    "files that stay open": (
        [work(What.BEGUN, 1, number=20), work(What.BEGUN, 2, label="b", number=60)],
        "nothing kept",
    ),
    "one value: two viewers": (
        [*FINISHED, seen(1, PENDING, 4, "v2"), seen(2, FAILURE, 5, "v2")],
        "one value",
    ),
    "one value: a viewer and Redis": ([*FINISHED, *IN_REDIS[:2], final(3, FAILURE)], "one value"),
    "an event under two numbers": ([final(1, PENDING), final(2, PENDING), final(3, SUCCESS)], "one number"),
    "a gap": ([seen(1, PENDING), seen(3, SUCCESS)], "whole runs"),
    "a gap that is larger than told": (
        [seen(1, PENDING), of(What.LOST, 2, number=2, until=7), seen(9, SUCCESS)],
        "whole runs",
    ),
    "an event again": ([*FINISHED[:2], seen(2, STARTED, 2.5), FINISHED[2]], "whole runs"),
    "an event after the end": ([*FINISHED, seen(4, STARTED)], "one end"),
    "two ends": ([*FINISHED, *IN_REDIS, final(4, FAILURE)], "one end"),
    "STARTED twice": ([*IN_REDIS[:2], final(3, STARTED), final(4, SUCCESS)], "lawful lives"),
    "progress that goes down": (
        [
            final(1, json.dumps({"status": "PROGRESS", "progress": 9})),
            final(2, json.dumps({"status": "PROGRESS", "progress": 8})),
        ],
        "lawful lives",
    ),
    "an end that is not seen": ([*FINISHED, seen(1, PENDING, 2, "v2")], "seen ends"),
    "an end that is seen late": ([*FINISHED, *SEEN_LATE], "seen ends"),
    "an end long after the last fault": (
        [*FINISHED[:2], calm(3), seen(3, SUCCESS, 60), *IN_REDIS],
        "all end",
    ),
    "acknowledged, then unknown": ([start(), of(What.OPEN, 4, since=3, **UNKNOWN)], "kept starts"),
    "older than what was lost, and gone": (
        [start(at=1), loss(5, 6, since=4), of(What.OPEN, 9, since=8, **UNKNOWN)],
        "kept starts",
    ),
    "a key with two tasks": ([start(1, key="k"), start(2, task="b", key="k")], "one task per key"),
    "begun twice": ([work(What.BEGUN, 1), work(What.BEGUN, 2)], "one beginning"),
    "refused, yet begun": ([start(task="", outcome=Outcome.FAIL), *RAN], "one beginning"),
    "SUCCESS of work that has not ended": ([*FINISHED, work(What.BEGUN, 2)], "honest ends"),
    "failed without a reason": ([seen(1, PENDING), seen(2, snapshot("FAILURE", "?"))], "honest ends"),
    "lost without a reason": ([seen(1, PENDING), seen(2, LOST, 14)], "honest ends"),
    "a status that is not the last": (
        [*IN_REDIS, of(What.FINAL_STATUS, 91, data=STARTED)],
        "agreeing answers",
    ),
    "no health": (
        [of(What.FINAL_HEALTH, 91, "s1", "", status=503, data="{}")],
        "agreeing answers",
    ),
    "a snapshot out of nowhere": ([*FINISHED, of(What.STATUS, 2, data=REVOKED)], "true snapshots"),
    "an overview without the end": ([*FINISHED, of(What.GLANCE, 3, data=STARTED)], "whole overviews"),
    "an overview of what is not there": ([*FINISHED, of(What.GLANCE, 3, data=FAILURE)], "true snapshots"),
    "an overview that forgets": ([start(), of(What.GLANCE, 4, since=3, **UNKNOWN)], "kept starts"),
    "expired too soon": ([SHORT, start(), *RAN, of(What.STATUS, 7, since=6.9, **UNKNOWN)], "kept starts"),
    "expired at work": (
        [SHORT, start(), RAN[0], of(What.STATUS, 20, since=19, **UNKNOWN), work(What.ENDED, 21)],
        "kept starts",
    ),
    "made room without need": (
        [limits(max_tasks=2), start(), *RAN, start(4, "b"), of(What.STATUS, 5, since=4.9, **UNKNOWN)],
        "kept starts",
    ),
    "kept for too long": ([SHORT, *FINISHED, *IN_REDIS], "forgotten in time"),
    "more tasks than places": (
        [SMALL, health(4, 2, 1)],
        "no more tasks",
    ),
    "a place that is free": ([SMALL, refusal(1)], "honest refusals"),
    "a worker that ends by itself": ([of(What.DIED, 99, "w1", "")], "survivors"),
    "a cancel that is not kept": ([of(What.CANCEL, 2, data=REVOKED), *FINISHED], "kept cancels"),
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_good_histories(history: list[Observation]) -> None:
    """Nothing is found where every promise was kept, or Redis has lost what it was about."""
    assert check(history) == []


@pytest.mark.parametrize(("history", "promise"), BAD.values(), ids=BAD)
def test_bad_histories(history: list[Observation], promise: str) -> None:
    """A broken promise is found, by its name."""
    assert promise in {violation.promise for violation in check(history)}


def test_history_is_read_as_it_was_written() -> None:
    """A history survives its file, in the order of time."""
    history = [start(), *FINISHED, *RAN, loss(4, 5, since=2.5), *IN_REDIS]
    lines = [each.to_json() for each in history]
    assert read_history(lines) == sorted(history, key=lambda each: each.at)
