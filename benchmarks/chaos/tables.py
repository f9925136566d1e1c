"""What runs have shown, as text."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from benchmarks.chaos.run import Report

EVIDENCE_CHARACTERS = 400
EXAMPLES = 3
"""Of each promise that was broken."""


def violations(report: Report) -> str:
    """What was wrong, with what shows it."""
    lines = []
    shown: Counter[str] = Counter()
    for violation in report.violations:
        shown[violation.promise] += 1
        if shown[violation.promise] <= EXAMPLES:
            lines.append(f"BROKEN ({violation.promise}): {violation.text}")
            lines += [f"    {each.to_json()[:EVIDENCE_CHARACTERS]}" for each in violation.evidence]
    counts = ", ".join(f"{promise} {count} times" for promise, count in shown.items())
    return "\n".join([*lines, f"Broken with seed {report.plan.seed}: {counts}."])


def runs(reports: Sequence[Report]) -> str:
    """A row for each run, and their sum."""
    names = list(reports[0].figures)
    rows = [
        [str(report.plan.seed), *map(str, report.figures.values()), str(len(report.violations))]
        for report in reports
    ]
    if len(reports) > 1:
        sums = [str(sum(report.figures[name] for report in reports)) for name in names]
        rows.append([f"{len(reports)} runs", *sums, str(sum(len(each.violations) for each in reports))])
    return table(["seed", *names, "broken"], rows)


def recoveries(reports: Sequence[Report]) -> str:
    """How long it took until tasks ran through every server again, by fault; the slowest last."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for report in reports:
        for label, times in report.recoveries.items():
            seconds[label if "+" not in label else "two at a time"] += times
    rows = [
        [label, str(len(times)), f"{median(times):.1f}", f"{max(times):.1f}"]
        for label, times in sorted(seconds.items(), key=lambda each: median(each[1]))
    ]
    return table(["recovery after", "times", "median s", "worst s"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, whose columns are aligned."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )
