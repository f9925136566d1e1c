"""What has been measured: as Markdown, and as JSON."""

import math
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.servers import Figures
from benchmarks.workloads import Column, Workload

Results = dict[str, list[Figures]]
"""The figures of each server in each round."""


def machine() -> dict[str, str]:
    """What the figures depend on."""
    try:
        processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        names = [
            line.partition(": ")[2] for line in processors.splitlines() if line.startswith("model name")
        ]
    except OSError:
        names = []
    processor = names[0] if names else platform.machine()
    return {
        "machine": f"{os.cpu_count()} × {processor}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def markdown(workload: Workload, sizes: Figures, results: Results) -> str:
    """A table: medians, and in brackets how many times ours they are, the median of each round's ratio."""
    titles = ["server", *(column.title for column in workload.columns)]
    lines = [f"### {workload.title.format(**sizes)}", "", row(titles), row(["---"] * len(titles))]
    for name, rounds in results.items():
        lines.append(row([name, *(cell(column, rounds, results) for column in workload.columns)]))
    return "\n".join(lines)


def row(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(column: Column, rounds: list[Figures], results: Results) -> str:
    """One figure."""
    if not rounds:
        return "failed"
    figure = middle(column.key, rounds)
    text = "–" if math.isnan(figure) else f"{figure:,.{column.decimals}f}"
    ours = results.get("ours", [])
    if not column.compared or rounds is ours or len(ours) != len(rounds):
        return text
    ratios = [
        each[column.key] / our[column.key]
        for each, our in zip(rounds, ours, strict=True)
        if our[column.key]
    ]
    return f"{text} ({median(ratios):.2f}×)" if ratios and not math.isnan(sum(ratios)) else text


def middle(key: str, rounds: list[Figures]) -> float:
    """The median of one figure over the rounds; NaN if nothing came in any of them."""
    return median([figure for each in rounds if not math.isnan(figure := each[key])] or [math.nan])
