"""Tasks as bars, on a terminal."""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
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

MESSAGE = TextColumn("{task.fields[message]}", markup=False, table_column=Column(no_wrap=True, ratio=1))


class StatusBarColumn(BarColumn):
    """A bar in the colour of its task's status."""

    def render(self, task: Task) -> ProgressBar:
        """The bar."""
        bar = super().render(task)
        bar.complete_style = bar.finished_style = task.fields["style"]
        bar.pulse = task.fields["moving"]
        return bar


class TimeColumn(ProgressColumn):
    """The time that a task has left, or has taken."""

    def render(self, task: Task) -> Text:
        """The time, unless the task is not watched any more."""
        snapshot, seconds = task.fields["snapshot"], time.monotonic() - task.fields["received_at"]
        return Text(time_left(snapshot, seconds) if snapshot else "")


class Bars(Progress):
    """The tasks that are watched: a row for each, or for those that matter most while there are too many.

    Below the rows are the totals of many tasks, or the result of one. Without a terminal nothing is drawn.
    """

    def __init__(self, *, many: bool, drawn: bool) -> None:
        super().__init__(
            console=Console(highlight=False),
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not drawn,
        )
        self.snapshots: dict[str, SnapshotDict] = {}
        """The latest of each task."""
        self.abandoned: dict[str, str] = {}
        """The tasks that are not watched to their end, and why: they are "given up" or "refused"."""
        self._many = many
        self._rows: dict[str, TaskID] = {}

    def show(self, snapshot: SnapshotDict) -> None:
        """Move a task's bar."""
        self.snapshots[snapshot["task_id"]] = snapshot
        self._update_row(snapshot)

    def abandon(self, task_id: str | None, error: ServerError) -> None:
        """Give up a task, or see it refused; without an id, one that wasn't started."""
        why = "given up" if isinstance(error, Unreachable) else "refused"
        self.abandoned[task_id or f"not started: {len(self.abandoned)}"] = why
        if task_id in self.snapshots:
            self._update_row(self.snapshots[task_id])

    def name(self, task_id: str) -> str:
        """The name of a task; its id, as long as nothing else is known."""
        return str(self.snapshots[task_id]["name"]) if task_id in self.snapshots else task_id

    def totals(self) -> str:
        """How many tasks are in which state, if any was seen: `3 tasks: 2 SUCCESS, 1 given up`."""
        if not self.snapshots:
            return ""
        snapshots = self.snapshots.copy()  # rich draws in a thread
        states = {task_id: each["status"] for task_id, each in snapshots.items()} | self.abandoned
        counts = Counter(states.values())
        tasks = "1 task" if counts.total() == 1 else f"{counts.total()} tasks"
        return printable(f"{tasks}: " + ", ".join(f"{n} {state}" for state, n in counts.most_common()))

    def get_renderables(self) -> Iterable[RenderableType]:
        """The rows, and what stands below them."""
        rows = sorted(self.tasks, key=lambda row: (len(row.description), row.description))
        if not rows:
            return
        if self._many:
            below = [self.totals()]
        else:
            below = [f"Result: {result}" for each in self.snapshots.values() if (result := result_of(each))]
        fit = max(1, self.console.height - 3)
        if self.live.is_started and len(rows) > fit + 1:  # when it stops, all are shown
            below.insert(0, f"… and {len(rows) - fit} more")
            # First those that run, then those that went wrong.
            rows = sorted(rows, key=lambda row: row.fields["rank"])[:fit]
        yield self.make_tasks_table(rows)
        yield from map(Text, below)

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """The rows, with the columns for which the terminal is wide enough."""
        width = self.console.width
        self.columns = (
            TextColumn("{task.fields[name]}", markup=False),
            StatusBarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.fields[percent]}", justify="right", table_column=Column(min_width=5)),
            TextColumn("[{task.fields[style]}]{task.fields[status]}", table_column=Column(min_width=8)),
            *([TimeColumn(Column(no_wrap=True, min_width=9))] if width >= TIME_FROM_CELLS else []),
            *([MESSAGE] if width >= MESSAGE_FROM_CELLS else []),
        )
        table = super().make_tasks_table(tasks)
        # Narrower than the terminal: the ^C that it echoes must not begin a line of its own.
        table.width = width - 2
        return table

    def _update_row(self, snapshot: SnapshotDict) -> None:
        task_id, name = snapshot["task_id"], printable(snapshot["name"])
        status = self.abandoned.get(task_id) or snapshot["status"]
        moving = is_moving(snapshot) and task_id not in self.abandoned
        message = f"{message_of(snapshot)} {result_of(snapshot) if self._many else ''}"
        if status in STYLES.keys() - {"SUCCESS"}:
            message = ""  # a line of its own says it, in full
        fields: dict[str, Any] = {
            "completed": snapshot["progress"],
            "moving": moving,
            "percent": "" if moving else f"{snapshot['progress']} %",
            "name": shorten(name, min(NAME_CELLS, max(6, self.console.width // 4))),
            "status": escape(printable(status)),
            "style": STYLES.get(status, "default"),
            "message": message,
            "snapshot": None if task_id in self.abandoned else snapshot,
            "received_at": time.monotonic(),
            "rank": 2 if status == "SUCCESS" else int(status in STYLES),
        }
        if task_id in self._rows:
            self.update(self._rows[task_id], **fields)
        else:
            self._rows[task_id] = self.add_task(name, **fields)


def time_left(snapshot: SnapshotDict, seconds: float) -> str:
    """The time that a task has left so many seconds after a snapshot, or has taken, as the page shows it.

    As long as it hasn't come anywhere, or counts what has no known total, it is how long it has run.
    """
    try:
        started, updated = (datetime.fromisoformat(snapshot[name]) for name in ("started_at", "updated_at"))
        elapsed = (updated - started).total_seconds()
        is_known = all(step.get("total", 0) is not None for step in snapshot.get("steps", ()))
    except (KeyError, TypeError, ValueError):  # it has not started
        return ""
    if snapshot["status"] in ENDED:
        return f"took {duration(elapsed)}"
    if snapshot["progress"] == 0 or not is_known:
        return duration(elapsed + seconds)
    return f"{duration(elapsed * (100 / snapshot['progress'] - 1) - seconds)} left"
