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
    """A table: medians, and in brackets how many times ours they are, the median of each round's ratio.

    Beside ours, if nchan takes part, is how many times nchan's it is.
    """
    titles = ["server", *(column.title for column in workload.columns)]
    lines = [f"### {workload.title.format(**sizes)}", "", row(titles), row(["---"] * len(titles))]
    rows = ([name, *(cell(column, name, results) for column in workload.columns)] for name in results)
    return "\n".join([*lines, *map(row, rows)])


def row(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(column: Column, name: str, results: Results) -> str:
    """One figure."""
    if not results[name]:
        return "failed"
    figure = middle(column.key, results[name])
    text = "–" if math.isnan(figure) else f"{figure:,.{column.decimals}f}"
    if not column.compared:
        return text
    if name != "ours":
        return text + ratio(column.key, results[name], results.get("ours", []), "×")
    return text + ratio(column.key, results[name], results.get("nchan", []), "× nchan")


def ratio(key: str, rounds: list[Figures], others: list[Figures], times: str) -> str:
    """How many times the figure of others it is, in brackets; nothing if that can't be said."""
    if len(rounds) != len(others):
        return ""
    pairs = zip(rounds, others, strict=True)
    ratios = [each[key] / other[key] for each, other in pairs if other[key]]
    return f" ({median(ratios):.2f}{times})" if ratios and not math.isnan(sum(ratios)) else ""


def middle(key: str, rounds: list[Figures]) -> float:
    """The median of one figure over the rounds; NaN if nothing came in any of them."""
    return median([figure for each in rounds if not math.isnan(figure := each[key])] or [math.nan])
