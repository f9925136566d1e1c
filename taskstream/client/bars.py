"""Tasks as bars, on a terminal."""

import sys
from collections.abc import Collection

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from taskstream.client.display import has_result
from taskstream.client.output import WholeLines, gone
from taskstream.client.protocol import ENDED, Snapshot
from taskstream.client.rows import Rows
from taskstream.client.server_clock import ServerClock
from taskstream.client.text import printable, result_of, shorten

STYLES = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "REVOKED": "yellow",
    "given up": "yellow",
    "refused": "yellow",
}

NAME_CELLS = 24
TIME_FROM_CELLS, MESSAGE_FROM_CELLS = 60, 48
"""How wide a terminal has to be for these columns."""


class Bars:
    """A bar for each task, or for those that matter most while there are too many; totals under many."""

    def __init__(self, *, many: bool) -> None:
        self._many = many
        self._rows = Rows()
        self._is_last_frame = False
        self._clock = ServerClock()
        self._console = Console(highlight=False)
        self._output = WholeLines(self._print, self._rows if many else None, filtered=True)
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
        self._print(printable(text))

    def show(self, snapshot: Snapshot) -> None:
        """Move a task's bar; a bad end gets a line too, where its message isn't cut short."""
        self._clock.observe(snapshot)
        self._rows.show(snapshot)
        if snapshot["status"] in ENDED:
            self._output.end_line(snapshot["task_id"])
        if snapshot["status"] in ENDED - {"SUCCESS"}:
            self.say(f"{snapshot['name']}: {snapshot['status']} {snapshot['message']}")

    def write(self, task_id: str, text: str) -> None:
        """Print whole lines above the bars."""
        self._output.add(task_id, text)

    def lose(self, task_id: str, count: int) -> None:
        """Print how many events are gone, in the place of what they said."""
        self._output.end_line(task_id)
        self.say(f"{self._rows.name(task_id)}: {gone(count)}" if self._many else gone(count))

    def note(self, task_id: str | None, text: str) -> None:
        """Put it in the place of the task's message; or above the bar, if there is but one."""
        if self._many and task_id in self._rows.snapshots:
            self._rows.notes[task_id] = text
        else:
            self.say(text)

    def fail(self, task_id: str | None, how: str) -> None:
        """Put it in the place of the task's status."""
        self._rows.fail(task_id, how)

    def complain(self, text: str) -> None:
        """Print a line to stderr; or above the bars, which would overwrite it."""
        if self._live.is_started:
            self.say(text)
        else:
            print(printable(text), file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Leave the bars as they are, bring the cursor back, and print the result if there is one task."""
        self._output.end()
        self._is_last_frame = True
        self._live.stop()
        for snapshot in [] if self._many else filter(has_result, self._rows.snapshots.values()):
            self.say(f"Result: {result_of(snapshot['data'])}")

    def _print(self, text: str) -> None:
        self._console.print(Text(text.removesuffix("\n")), soft_wrap=True)

    def _render(self) -> RenderableType:
        snapshots = sorted(
            self._rows.snapshots.values(), key=lambda each: (len(each["name"]), each["name"])
        )
        if not self._many:
            return self._table(snapshots)
        lines = [self._rows.totals()] if snapshots else []
        if len(snapshots) > self._console.height - 2 and not self._is_last_frame:
            fit = max(1, self._console.height - 3)
            lines.insert(0, f"… and {len(snapshots) - fit} more")
            # First those that run, then those that went wrong.
            snapshots.sort(key=lambda each: (self._rows.is_over(each), each["status"] == "SUCCESS"))
            snapshots = snapshots[:fit]
        return Group(self._table(snapshots), *(Text(printable(line)) for line in lines))

    def _table(self, snapshots: Collection[Snapshot]) -> Table:
        width = self._console.width
        # Narrower than the terminal: the ^C that it echoes must not begin a line of its own.
        table = Table.grid(padding=(0, 1))
        table.width = width - 2 if snapshots else None
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right", min_width=5)
        table.add_column(no_wrap=True, min_width=8)
        if width >= TIME_FROM_CELLS:
            table.add_column(no_wrap=True, min_width=9)
        if width >= MESSAGE_FROM_CELLS:
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for snapshot in snapshots:
            table.add_row(*self._cells(snapshot, width)[: len(table.columns)])
        return table

    def _cells(self, snapshot: Snapshot, width: int) -> list[RenderableType]:
        # Text, because in a plain string rich would take [red] for a colour.
        status = self._rows.status(snapshot)
        style = STYLES.get(status, "default")
        cells: list[RenderableType] = [
            Text(shorten(printable(snapshot["name"]), min(NAME_CELLS, max(6, width // 4)))),
            ProgressBar(completed=snapshot["progress"], complete_style=style, finished_style=style),
            Text(f"{snapshot['progress']} %"),
            Text(printable(status), style),
        ]
        if width >= TIME_FROM_CELLS:
            failed = snapshot["task_id"] in self._rows.failed
            cells.append(Text("" if failed else self._clock.describe(snapshot)))
        return [*cells, Text(printable(self._message(snapshot)))]

    def _message(self, snapshot: Snapshot) -> str:
        if note := self._rows.notes.get(snapshot["task_id"]):
            return note
        result = f" {result_of(snapshot['data'])}" if self._many and has_result(snapshot) else ""
        return f"{snapshot['message']}{result}"
