"""The checker: which promises a history breaks. It reads nothing but the history, and does nothing else."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.chaos import check_answers, check_limits, check_logs, check_tasks
from benchmarks.chaos.facts import Facts
from benchmarks.chaos.history import Observation
from benchmarks.chaos.violations import Violation

CHECKS: tuple[Callable[[Facts], Iterable[Violation]], ...] = (
    check_logs.one_value,
    check_logs.one_number,
    check_logs.whole_runs,
    check_logs.true_gaps,
    check_logs.whole_texts,
    check_logs.one_end,
    check_logs.lawful_lives,
    check_logs.seen_ends,
    check_logs.all_end,
    check_tasks.kept_starts,
    check_tasks.one_task_per_key,
    check_tasks.one_beginning,
    check_tasks.same_parameters,
    check_tasks.nothing_kept,
    check_tasks.honest_ends,
    check_limits.no_more_tasks,
    check_limits.honest_refusals,
    check_limits.forgotten_in_time,
    check_answers.agreeing_answers,
    check_answers.true_snapshots,
    check_answers.kept_cancels,
    check_answers.whole_overviews,
    check_answers.survivors,
)


def check(history: Sequence[Observation]) -> list[Violation]:
    """All promises that were not kept."""
    facts = Facts(sorted(history, key=lambda each: each.at))
    return [violation for each in CHECKS for violation in each(facts)]
