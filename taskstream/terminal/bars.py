"""Tasks as bars, on a terminal."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from taskstream.client.protocol import ENDED, ServerError, SnapshotDict, Unreachable
from taskstream.terminal.text import duration, is_moving, message_of, printable, result_of, shorten

STYLES = {
    "SUCCESS": "green",
    "FAILURE": "red",
    **dict.fromkeys(("REVOKED", "given up", "refused"), "yellow"),
}
NAME_CELLS = 24
TIME_FROM_CELLS, MESSAGE_FROM_CELLS = 60, 48
"""How wide a terminal has to be for these columns."""


class Bars:
    """The tasks that are watched: a row for each, or for those that matter most while there are too many.

    Below the rows are the totals of many tasks, or the result of one. `live` draws them once it is started.
    """

    def __init__(self, *, many: bool) -> None:
        self.snapshots: dict[str, SnapshotDict] = {}
        """The latest of each task."""
        self.abandoned: dict[str, str] = {}
        """The tasks that are not watched to their end, and why: they are "given up" or "refused"."""
        for name in ("COLUMNS", "LINES"):  # 0, which rich takes for a size, is that of no terminal
            if os.environ.get(name) == "0":
                del os.environ[name]
        self.console = Console(highlight=False)
        self.live = Live(
            self, console=self.console, refresh_per_second=8, redirect_stdout=False, redirect_stderr=False
        )
        self._many = many
        self._received_at: dict[str, float] = {}

    def show(self, snapshot: SnapshotDict) -> None:
        """Move a task's bar."""
        self._received_at[snapshot["task_id"]] = time.monotonic()
        is_new = snapshot["task_id"] not in self.snapshots
        self.snapshots[snapshot["task_id"]] = snapshot
        if is_new and self.live.is_started:
            self.live.refresh()

    def abandon(self, task_id: str | None, error: ServerError) -> None:
        """Give up a task, or see it refused; without an id, one that wasn't started."""
        why = "given up" if isinstance(error, Unreachable) else "refused"
        self.abandoned[task_id or f"not started: {len(self.abandoned)}"] = why

    def name(self, task_id: str) -> str:
        """The name of a task; its id, as long as nothing else is known."""
        return str(self.snapshots[task_id]["name"]) if task_id in self.snapshots else task_id

    def totals(self) -> str:
        """How many tasks are in which state, if any was seen: `3 tasks: 2 SUCCESS, 1 given up`."""
        if not self.snapshots:
            return ""
        states = {each: self._status(each) for each in [*self.snapshots]} | self.abandoned
        counts = Counter(states.values())
        tasks = "1 task" if counts.total() == 1 else f"{counts.total()} tasks"
        return printable(f"{tasks}: " + ", ".join(f"{n} {state}" for state, n in counts.most_common()))

    def __rich__(self) -> RenderableType:
        """The rows, and what stands below them; rich asks for it in a thread."""
        task_ids = sorted([*self.snapshots], key=lambda each: (len(self.name(each)), self.name(each)))
        if self._many:
            below = [self.totals()] if task_ids else []
        else:
            results = [result_of(self.snapshots[each]) for each in task_ids]
            below = [f"Result: {result}" for result in results if result]
        fit = max(1, self.console.height - 3)
        if self.live.is_started and len(task_ids) > fit + 1:  # when it stops, all are shown
            below.insert(0, f"… and {len(task_ids) - fit} more")
            task_ids = sorted(task_ids, key=self._rank)[:fit]
        return Group(self._table(task_ids), *map(Text, below))

    def _status(self, task_id: str) -> str:
        return self.abandoned.get(task_id) or str(self.snapshots[task_id]["status"])

    def _rank(self, task_id: str) -> int:
        """First come those that run (0), then those that went wrong (1)."""
        status = self._status(task_id)
        return 2 if status == "SUCCESS" else int(status in STYLES)

    def _table(self, task_ids: Iterable[str]) -> Table:
        """The rows, with the columns for which the terminal is wide enough."""
        table = Table.grid(
            Column(no_wrap=True),
            Column(ratio=1),
            Column(min_width=5, justify="right"),
            Column(min_width=8),
            padding=(0, 1),
        )
        # Narrower than the terminal: the ^C that it echoes must not begin a line of its own.
        table.width = self.console.width - 2
        if self.console.width >= TIME_FROM_CELLS:
            table.add_column(no_wrap=True, min_width=9)
        if self.console.width >= MESSAGE_FROM_CELLS:
            table.add_column(no_wrap=True, ratio=1)
        for task_id in task_ids:
            table.add_row(*self._row(task_id))
        return table

    def _row(self, task_id: str) -> Iterator[RenderableType]:
        snapshot, status, width = self.snapshots[task_id], self._status(task_id), self.console.width
        is_watched = task_id not in self.abandoned
        moving, style = is_watched and is_moving(snapshot), STYLES.get(status, "default")
        progress = snapshot["progress"]
        yield Text(shorten(printable(snapshot["name"]), min(NAME_CELLS, max(6, width // 4))))
        yield ProgressBar(100, progress, pulse=moving, complete_style=style, finished_style=style)
        yield Text("" if moving else f"{progress} %")
        yield Text(printable(status), style)
        if width >= TIME_FROM_CELLS:
            seconds = time.monotonic() - self._received_at[task_id]
            yield Text(time_left(snapshot, seconds) if is_watched else "")
        if width >= MESSAGE_FROM_CELLS:
            message = f"{message_of(snapshot)} {result_of(snapshot) if self._many else ''}"
            yield Text("" if self._rank(task_id) == 1 else message)  # a line of its own says it, in full


def time_left(snapshot: SnapshotDict, seconds: float) -> str:
    """The time that a task has left so many seconds after a snapshot, or has taken, as the page shows it.

    As long as it hasn't come anywhere, or counts what has no known total, it is how long it has run.
    """
    try:
        started, updated = (datetime.fromisoformat(snapshot[name]) for name in ("started_at", "updated_at"))
        elapsed = (updated - started).total_seconds()
        is_known = all(step.get("total", 0) is not None for step in snapshot.get("steps", ()))
    except (AttributeError, KeyError, TypeError, ValueError):  # it has not started, or is odd
        return ""
    if snapshot["status"] in ENDED:
        return f"took {duration(elapsed)}"
    if snapshot["progress"] == 0 or not is_known:
        return duration(elapsed + seconds)
    return f"{duration(elapsed * (100 / snapshot['progress'] - 1) - seconds)} left"
