"""What has to hold of every start and every piece of work: once, and not in vain."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from benchmarks.chaos.check_limits import may_be_forgotten
from benchmarks.chaos.facts import Facts, first_of, snapshot_of
from benchmarks.chaos.history import Observation, Outcome, What
from benchmarks.chaos.violations import Violation

SPARE_DESCRIPTORS = 30
"""How many more a process may have: the files of one piece of work, and some connections."""

ON_PURPOSE = "failed on purpose"
LOST = ("worker lost", "the server stopped")
"""The message of work that was to fail; and what is in that of a task whose worker or server has died."""


def kept_starts(facts: Facts) -> Iterator[Violation]:
    """A task whose start was acknowledged is there, unless Redis has lost it, or it may be forgotten."""
    asked = (What.STATUS, What.OPEN, What.CANCEL, What.GLANCE, What.FINAL_STATUS)
    for each in facts.of(*asked):
        started = facts.started.get(each.task)
        missing = each.status == 404 and started and each.since >= started.at
        if started and missing and not gone(facts, started, each.at):
            text = f"Task {each.task} was acknowledged, then {each.who} was told that there is none."
            yield Violation("kept starts", text, (started, each))
    final = facts.final_events()
    for task, started in facts.started.items() if final else ():
        if task not in final and not gone(facts, started, facts.history[-1].at):
            text = f"Task {task} was acknowledged, and is not in Redis in the end."
            yield Violation("kept starts", text, (started,))


def gone(facts: Facts, started: Observation, at: float) -> bool:
    """Whether Redis may have lost a task, or it may have been forgotten, by this time."""
    return facts.may_be_lost(started, at) or may_be_forgotten(facts, started, at)


def one_task_per_key(facts: Facts) -> Iterator[Violation]:
    """An idempotency key starts one task, however often and wherever it is sent."""
    first_with: dict[str, Observation] = {}
    for each in facts.of(What.START):
        if not each.key or each.outcome is not Outcome.OK:
            continue
        first = first_with.setdefault(each.key, each)
        if first.task == each.task:
            continue
        if not gone(facts, first, each.at):
            text = f"The key {each.key} has started the tasks {first.task} and {each.task}."
            yield Violation("one task per key", text, (first, each))
        first_with[each.key] = each


def one_beginning(facts: Facts) -> Iterator[Violation]:
    """Work begins at most once, unless Redis may have lost or forgotten that; and never after a refusal."""
    begun: dict[str, list[Observation]] = defaultdict(list)
    for each in facts.of(What.BEGUN):
        begun[each.label].append(each)
    answers: dict[str, list[Observation]] = defaultdict(list)
    for each in facts.of(What.START):
        answers[each.label].append(each)
    for label, beginnings in begun.items():
        for first, second in pairwise(beginnings):
            forgotten = any(
                each.outcome is not Outcome.FAIL and may_be_forgotten(facts, each, second.at)
                for each in answers[label]
            )
            if not forgotten and not facts.loss_between(first, second):
                yield Violation("one beginning", f"The work {label} has begun twice.", (first, second))
        if {each.outcome for each in answers[label]} == {Outcome.FAIL}:
            yield Violation(
                "one beginning", f"The work {label} was refused, and has begun.", (beginnings[0],)
            )


def same_parameters(facts: Facts) -> Iterator[Violation]:
    """Work gets the parameters with which it was started."""
    for each in facts.of(What.BEGUN):
        if each.key != each.label:
            text = f"The secret of the work {each.label} was {each.key!r} when it began."
            yield Violation("same parameters", text, (each,))


def nothing_kept(facts: Facts) -> Iterator[Violation]:
    """The process of a worker has no more files open than before: what has failed is let go."""
    first_of_process: dict[str, Observation] = {}
    for each in facts.of(What.BEGUN):
        first = first_of_process.setdefault(each.who, each)
        if each.number > first.number + SPARE_DESCRIPTORS:
            text = f"{each.who} had {first.number} descriptors at first, and has {each.number}."
            yield Violation("nothing kept", text, (first, each))


def honest_ends(facts: Facts) -> Iterator[Violation]:
    """SUCCESS is of work that has ended, FAILURE of what was to fail or whose worker was struck."""
    finished = {each.label for each in facts.of(What.ENDED) if each.outcome is Outcome.OK}
    works_known = bool(facts.of(What.BEGUN))
    for task in facts.by_task:
        if not (ends := facts.last_events(task)):
            continue
        end, snapshot = first_of(ends), snapshot_of(first_of(ends).data)
        if works_known and snapshot["status"] == "SUCCESS" and snapshot["name"] not in finished:
            yield Violation("honest ends", f"Task {task} is a SUCCESS, but its work has not ended.", (end,))
        failed, message = snapshot["status"] == "FAILURE", snapshot["message"].lower()
        lost = failed and any(each in message for each in LOST)
        if failed and not lost and message != ON_PURPOSE:
            yield Violation("honest ends", f"Task {task} has failed: {message}.", (end,))
        if lost and not facts.struck(task, end.at):
            text = f"The worker of task {task} was presumed lost, although nothing had happened to it."
            yield Violation("honest ends", text, (end,))
