"""What has to hold of limits: when a task may be forgotten, when it has to be, when there is no place."""

import json
import math
from collections.abc import Iterator

from benchmarks.chaos.facts import Facts
from benchmarks.chaos.history import Observation, Outcome, What
from benchmarks.chaos.violations import Violation

FORGET_SECONDS = 10
"""How soon a task has to be forgotten, once its time is over."""


def may_be_forgotten(facts: Facts, started: Observation, at: float) -> bool:
    """Whether a task may have expired, or made room for another, by this time: only if it has ended."""
    ended_at = earliest_end(facts, started, at)
    expired = at >= ended_at + facts.limits.retention_seconds
    return expired or (at >= ended_at and may_have_been_full(facts, at))


def earliest_end(facts: Facts, started: Observation, at: float) -> float:
    """When a task may have ended: with its work; or before, if it was cancelled or its worker struck."""
    task = started.task
    if not task or facts.cancelled(task) or facts.struck(task, at):
        return started.since
    return min((each.at for each in facts.of(What.ENDED) if each.label == started.label), default=math.inf)


def may_have_been_full(facts: Facts, at: float) -> bool:
    """Whether more tasks may have been started by this time than there are places."""
    starts = [
        each for each in facts.of(What.START) if each.outcome is not Outcome.FAIL and each.since <= at
    ]
    return len(starts) > facts.limits.max_tasks


def no_more_tasks(facts: Facts) -> Iterator[Violation]:
    """There are never more tasks than there may be."""
    for each in facts.of(What.HEALTH, What.FINAL_HEALTH):
        tasks = json.loads(each.data)["tasks"] if each.status == 200 else 0
        if tasks > facts.limits.max_tasks:
            text = f"{each.who} answers that there are {tasks} tasks of at most {facts.limits.max_tasks}."
            yield Violation("no more tasks", text, (each,))


def honest_refusals(facts: Facts) -> Iterator[Violation]:
    """A start is refused for want of a place only while every place may be taken by a task that runs."""
    starts = [(each, seen_end(facts, each.task)) for each in facts.of(What.START)]
    for refusal, _ in starts:
        if refusal.outcome is not Outcome.FAIL or refusal.status != 503:
            continue
        running = {
            each.task or each.label
            for each, ended_at in starts
            if each.outcome is not Outcome.FAIL and each.since <= refusal.at and ended_at > refusal.since
        }
        if len(running) < facts.limits.max_tasks:
            text = f"{refusal.who} has refused a start, although at most {len(running)} tasks were running."
            yield Violation("honest refusals", text, (refusal,))


def seen_end(facts: Facts, task: str) -> float:
    """When somebody saw the end of a task first, unless Redis has lost that: then it may run again."""
    ended_at = facts.ended_at(task) if task else None
    return math.inf if ended_at is None or facts.rolled_back(task) else ended_at


def forgotten_in_time(facts: Facts) -> Iterator[Violation]:
    """A task that has ended is forgotten when its time is over."""
    for task, log in facts.final_events().items():
        ended_at = seen_end(facts, task)
        if log[-1].at > ended_at + facts.limits.retention_seconds + FORGET_SECONDS:
            text = f"Task {task} is there {log[-1].at - ended_at:.1f} s after its end."
            yield Violation("forgotten in time", text, (log[-1],))
