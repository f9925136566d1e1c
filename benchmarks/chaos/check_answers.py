"""What servers answer has to agree with the logs; and they have to be there."""

import json
import math
from collections.abc import Iterator
from itertools import pairwise

from benchmarks.chaos.facts import LAST, NUMBERED, Facts, is_last, snapshot_of
from benchmarks.chaos.history import Observation, Outcome, What
from benchmarks.chaos.violations import Violation

ANSWERS = (What.START, What.CANCEL, What.STATUS, What.GLANCE)
"""What has a snapshot."""


def agreeing_answers(facts: Facts) -> Iterator[Violation]:
    """In the end, every server answers what is in the log, and counts what there is."""
    final = facts.final_events()
    for each in facts.of(What.FINAL_STATUS):
        snapshots = [event for event in final.get(each.task, []) if not event.kind]
        if snapshots and each.data != snapshots[-1].data:
            text = f"{each.who} answers a status of task {each.task} that is not its last snapshot."
            yield Violation("agreeing answers", text, (snapshots[-1], each))
    running = sum(not is_last(log[-1]) for log in final.values())
    for each in facts.of(What.FINAL_HEALTH):
        yield from health(each, len(final), running)


def health(answer: Observation, tasks: int, running: int) -> Iterator[Violation]:
    """Whether an answer counts what there is."""
    counted = json.loads(answer.data) if answer.status == 200 else {}
    if (counted.get("tasks"), counted.get("running")) != (tasks, running):
        text = f"{answer.who} answers {answer.data}, but Redis has {tasks} tasks of which {running} run."
        yield Violation("agreeing answers", text, (answer,))


def true_snapshots(facts: Facts) -> Iterator[Violation]:
    """A snapshot in an answer is one of the log, as far as all of that is known."""
    for task, observations in facts.by_task.items():
        numbers = {each.number for each in observations if each.what in NUMBERED}
        whole = facts.last_events(task) and max(numbers) == len(numbers)
        if not whole or facts.rolled_back(task):
            continue
        snapshots = facts.numbers(task)
        for each in observations:
            if each.what in ANSWERS and each.outcome is Outcome.OK and each.data not in snapshots:
                text = f"{each.who} was answered a snapshot of task {task} that is not in its log."
                yield Violation("true snapshots", text, (each,))


def kept_cancels(facts: Facts) -> Iterator[Violation]:
    """A task that a cancel was answered to be REVOKED for stays that, unless Redis has lost it."""
    for each in facts.of(What.CANCEL):
        if each.outcome is not Outcome.OK or facts.rolled_back(each.task):
            continue
        ends = facts.last_events(each.task)
        if ends and json.loads(each.data)["status"] == "REVOKED" and each.data != ends[0].data:
            text = f"Task {each.task} was answered to be REVOKED, but ended otherwise."
            yield Violation("kept cancels", text, (each, ends[0]))


def whole_overviews(facts: Facts) -> Iterator[Violation]:
    """A viewer of many tasks never sees one go back, and sees its end; unless Redis has lost that."""
    for (who, task), glances in facts.glances.items():
        if facts.rolled_back(task) or glances[-1].status == 404:
            continue  # whether there may be no such task is checked elsewhere
        numbers = facts.numbers(task)
        for each, following in pairwise(glances):
            if numbers.get(each.data, 0) > numbers.get(following.data, math.inf):
                text = f"{who} has seen task {task} go back, among others."
                yield Violation("whole overviews", text, (each, following))
        if snapshot_of(glances[-1].data)["status"] not in LAST:
            text = f"{who} never saw the end of task {task}, among others."
            yield Violation("whole overviews", text, (glances[-1],))


def survivors(facts: Facts) -> Iterator[Violation]:
    """No server and no worker ends by itself."""
    for each in facts.of(What.DIED):
        yield Violation("survivors", f"{each.who} has ended, although nobody killed it.", (each,))
