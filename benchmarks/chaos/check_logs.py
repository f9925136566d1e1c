"""What has to hold of every log, whoever reads it: its numbers, its values, its one end."""

from collections.abc import Iterator
from itertools import pairwise

from benchmarks.chaos.facts import NUMBERED, Facts, first_of, is_last, snapshot_of
from benchmarks.chaos.history import Observation, Outcome, What
from benchmarks.chaos.violations import Violation

SIGHT_SECONDS = 15
"""How soon the end of a task has to be seen by all of its viewers, once nothing hinders them."""

END_SECONDS = 45
"""How soon every task has to end, once nothing hinders it."""


ORDER = {"PENDING": 0, "STARTED": 1, "PROGRESS": 2}
"""Of the states of a task; those that end it are the last."""

HISTORY_BYTES = 1024 * 1024
"""Of each log in a server."""

AT_MOST_ONCE = ((0, 0), (1, 1), (3, 3))
NO_WORKER = "No worker answers: is one running?"


def one_value(facts: Facts) -> Iterator[Violation]:
    """An event is the same for everybody, whatever Redis has lost."""
    for task, observations in facts.by_task.items():
        known: dict[int, Observation] = {}
        for each in observations:
            if each.what in NUMBERED:
                first = known.setdefault(each.number, each)
                if (first.data, first.kind) != (each.data, each.kind):
                    text = f"Event {each.number} of task {task} has two values."
                    yield Violation("one value", text, (first, each))


def one_number(facts: Facts) -> Iterator[Violation]:
    """Nothing is in a log twice, however often it was sent; what a run says is never the same again."""
    for task, log in facts.final_events().items():
        known: dict[str, Observation] = {}
        for each in log:
            first = known.setdefault(each.data, each)
            if first is not each and not facts.rolled_back(task):
                text = f"Event {each.number} of task {task} is event {first.number} again."
                yield Violation("one number", text, (first, each))


def whole_runs(facts: Facts) -> Iterator[Violation]:
    """A viewer sees each event once and in order, and is told of those it can't have."""
    for (who, task), view in facts.views.items():
        expected, told = 1, 0
        for each in view:
            if each.what is What.LOST and each.number <= max(expected, told + 1):
                told = max(told, int(each.until))
            if each.what is not What.EVENT:
                continue
            if each.number > max(expected, told + 1):
                text = f"{who} missed the events {expected} to {each.number - 1} of task {task}."
                yield Violation("whole runs", text, (each,))
            elif each.number < expected and not facts.lost_before(each):
                text = f"{who} has seen event {each.number} of task {task} again."
                yield Violation("whole runs", text, (each,))
            expected = max(expected, each.number + 1)


def true_gaps(facts: Facts) -> Iterator[Violation]:
    """No viewer is told that something is lost which Redis still has in the end.

    Servers count the bytes of a log, of which Redis only estimates the size: there it may be longer.
    """
    final = facts.final_events()
    for each in facts.of(What.LOST):
        kept = [event for event in final.get(each.task, ()) if event.kind in ("", "output")]
        found = [event for event in kept if each.number <= event.number <= each.until]
        too_large = found and sum(len(event.data) for event in kept[kept.index(found[0]) :]) > HISTORY_BYTES
        if found and not too_large and not facts.rolled_back(each.task):
            text = f"{each.who} was told that event {found[0].number} of task {each.task} is lost."
            yield Violation("true gaps", text, (each, found[0]))


def whole_texts(facts: Facts) -> Iterator[Violation]:
    """All that work has said is in its log, if that is whole."""
    lines = {each.label: each.number for each in facts.of(What.ENDED) if each.outcome is Outcome.OK}
    for task, log in facts.final_events().items():
        end = snapshot_of(log[-1].data) if is_last(log[-1]) else {}
        if end.get("status") != "SUCCESS" or len(log) != log[-1].number or facts.rolled_back(task):
            continue
        said = "".join(snapshot_of(each.data)["text"] for each in log if each.kind == "output").count("\n")
        if said != lines.get(end["name"], said):
            text = f"Task {task} has said {lines[end['name']]} lines, of which its log has {said}."
            yield Violation("whole texts", text, (log[-1],))


def one_end(facts: Facts) -> Iterator[Violation]:
    """A task has one last event, and nothing after it; for a viewer also if Redis has lost the end."""
    for task in facts.by_task:
        if (last_events := facts.last_events(task)) and not facts.rolled_back(task):
            first = first_of(last_events)
            for each in facts.by_task[task]:
                if each.what in NUMBERED and each.number > first.number:
                    text = f"Event {each.number} of task {task} follows its last event {first.number}."
                    yield Violation("one end", text, (first, each))
    for (who, task), view in facts.views.items():
        events = [each for each in view if each.what is What.EVENT]
        for each, following in pairwise(events):
            if is_last(each) and following.number > each.number:
                text = f"{who} was sent event {following.number} of task {task} after its end."
                yield Violation("one end", text, (each, following))


def lawful_lives(facts: Facts) -> Iterator[Violation]:
    """A task is PENDING, then STARTED, then makes progress that never goes down, then ends."""
    for task, log in facts.final_events().items():
        snapshots = [each for each in log if not each.kind]
        for each, following in pairwise(snapshots):
            before, after = snapshot_of(each.data), snapshot_of(following.data)
            ranks = ORDER.get(before["status"], 3), ORDER.get(after["status"], 3)
            back = before.get("progress", 0) > after.get("progress", 0)
            if ranks == (0, 0) and after["message"].endswith(NO_WORKER):
                continue  # it has waited for long
            if (back or ranks[0] > ranks[1] or ranks in AT_MOST_ONCE) and not facts.rolled_back(task):
                text = f"Event {following.number} of task {task} can't follow the one before."
                yield Violation("lawful lives", text, (each, following))


def seen_ends(facts: Facts) -> Iterator[Violation]:
    """Whoever stays sees the end, soon after the first who sees it, or after the last fault."""
    for (who, task), view in facts.views.items():
        if view[-1].what is What.OPEN and view[-1].status == 404:
            continue  # whether that may be is checked elsewhere
        seen = [each.at for each in view if is_last(each)]
        if not seen:
            yield Violation("seen ends", f"{who} never saw the end of task {task}.", tuple(view[-3:]))
            continue
        ended_at = facts.ended_at(task)
        delay = min(seen) - max(ended_at or 0, facts.calm_at)
        if delay > SIGHT_SECONDS:
            text = f"{who} saw the end of task {task} {delay:.1f} s after others."
            yield Violation("seen ends", text, tuple(view[-3:]))


def all_end(facts: Facts) -> Iterator[Violation]:
    """Every task ends, soon after the last fault at the latest: none is PENDING for ever."""
    for task, log in facts.final_events().items():
        if not is_last(log[-1]):
            yield Violation("all end", f"Task {task} has not ended.", (log[-1],))
            continue
        ended_at = facts.ended_at(task) or 0
        if ended_at > facts.calm_at + END_SECONDS and log[0].at > ended_at:
            delay = ended_at - facts.calm_at
            text = f"Task {task} ended {delay:.1f} s after the last fault."
            yield Violation("all end", text, (log[-1],))
