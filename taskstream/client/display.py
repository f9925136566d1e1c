"""How tasks look: bars on a terminal, plain lines in a pipe or a file."""

import re
import sys
from collections import Counter
from collections.abc import Collection
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from taskstream.client.protocol import ENDED, Snapshot

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal would obey instead of showing it, what turns text around, and halves of characters."""

STYLES = {"SUCCESS": "green", "FAILURE": "red", "REVOKED": "yellow"}


def printable(text: str) -> str:
    r"""The text, with what must not reach a terminal spelled out: `\x1b`."""
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def totals(snapshots: Collection[Snapshot]) -> str:
    """How many tasks are in which status: `5 tasks: 4 SUCCESS, 1 FAILURE`."""
    counts = Counter(snapshot["status"] for snapshot in snapshots)
    return f"{len(snapshots)} tasks: " + ", ".join(f"{n} {status}" for status, n in counts.most_common())


class Display(Protocol):
    """Where tasks are shown."""

    def say(self, text: str) -> None:
        """Show a line."""

    def show(self, snapshot: Snapshot) -> None:
        """Show how far a task has come."""

    def note(self, task_id: str, text: str) -> None:
        """Show how a task's connection fares."""

    def complain(self, text: str) -> None:
        """Show what went wrong."""

    def stop(self) -> None:
        """Leave the terminal as it was."""


class Lines:
    """A line for each event."""

    def __init__(self, *, many: bool) -> None:
        self._many = many
        self._latest: dict[str, Snapshot] = {}

    def say(self, text: str) -> None:
        """Print a line."""
        print(printable(text), flush=True)

    def show(self, snapshot: Snapshot) -> None:
        """Print a task's status, percentage and message; its name before them, if there are many."""
        self._latest[snapshot["task_id"]] = snapshot
        name = f"{snapshot['name']}: " if self._many else ""
        self.say(f"{name}{snapshot['status']:<8} {snapshot['progress']:>3}%  {snapshot['message']}")

    def note(self, task_id: str, text: str) -> None:
        """Complain, so as not to come between the lines of the tasks."""
        if self._many:
            text = f"{self._latest[task_id]['name'] if task_id in self._latest else task_id}: {text}"
        self.complain(text)

    def complain(self, text: str) -> None:
        """Print a line to stderr."""
        print(printable(text), file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Print the totals, if there are many tasks."""
        if self._many and self._latest:
            self.say(totals(self._latest.values()))


class Bars:
    """A bar for each task, or for those that matter most if there are too many; totals under many."""

    def __init__(self, *, many: bool) -> None:
        self._many = many
        self._rows: dict[str, Snapshot] = {}
        self._notes: dict[str, str] = {}
        self._console = Console(highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(Text(printable(text)), soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        """Move a task's bar; a bad end gets a line too, where its message isn't cut short."""
        self._notes.pop(snapshot["task_id"], None)
        self._rows[snapshot["task_id"]] = snapshot
        if snapshot["status"] in ENDED - {"SUCCESS"}:
            self.say(f"{snapshot['name']}: {snapshot['status']} {snapshot['message']}")

    def note(self, task_id: str, text: str) -> None:
        """Put it in the place of the task's message; or above the bar, if there is but one."""
        if self._many and task_id in self._rows:
            self._notes[task_id] = text
        else:
            self.say(text)

    def complain(self, text: str) -> None:
        """Print a line to stderr; or above the bars, which would overwrite it."""
        if self._live.is_started:
            self.say(text)
        else:
            print(printable(text), file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Leave the bars as they are, and bring the cursor back."""
        self._live.stop()

    def _render(self) -> RenderableType:
        rows = sorted(self._rows.values(), key=lambda row: (len(row["name"]), row["name"]))
        if not self._many:
            return self._table(rows)
        fit = self._console.height - 2
        if len(rows) > fit:  # first those that run, then those that went wrong
            rows.sort(key=lambda row: (row["status"] in ENDED, row["status"] == "SUCCESS"))
        return Group(self._table(rows[:fit]), Text(totals(rows)) if rows else Group())

    def _table(self, rows: Collection[Snapshot]) -> Table:
        # Narrower than the terminal: the ^C that it echoes must not begin a line of its own.
        table = Table.grid(padding=(0, 1))
        table.width = self._console.width - 2 if rows else None
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right", min_width=4)
        table.add_column(no_wrap=True, min_width=8)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            style = STYLES.get(row["status"], "default")
            # Text, because in a plain string rich would take [red] for a colour.
            table.add_row(
                Text(printable(row["name"])),
                ProgressBar(completed=row["progress"], complete_style=style, finished_style=style),
                Text(f"{row['progress']}%"),
                Text(row["status"], style),
                Text(printable(self._notes.get(row["task_id"]) or row["message"])),
            )
        return table
