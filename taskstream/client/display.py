"""Tasks as plain lines, for a pipe or a file; what a display is."""

import sys
from typing import Protocol

from taskstream.client.protocol import Snapshot
from taskstream.client.rows import Rows
from taskstream.client.text import printable, result_of


class Display(Protocol):
    """Where tasks are shown."""

    def say(self, text: str) -> None:
        """Show a line."""

    def show(self, snapshot: Snapshot) -> None:
        """Show how far a task has come."""

    def note(self, task_id: str | None, text: str) -> None:
        """Show the state of a task's connection; without an id, of one that is to start a task."""

    def fail(self, task_id: str | None, how: str) -> None:
        """Show that a task was given up or refused; without an id, one that isn't started."""

    def complain(self, text: str) -> None:
        """Show what went wrong."""

    def stop(self) -> None:
        """Show what is to be said at the end, and leave the terminal as it was."""


class Lines:
    """A line for each event."""

    def __init__(self, *, many: bool) -> None:
        self._many = many
        self._rows = Rows()

    def say(self, text: str) -> None:
        """Print a line."""
        print(printable(text), flush=True)

    def show(self, snapshot: Snapshot) -> None:
        """Print a task's status, percentage, message and result; its name first, if there are many."""
        self._rows.show(snapshot)
        name = f"{snapshot['name']}: " if self._many else ""
        self.say(f"{name}{snapshot['status']:<8} {snapshot['progress']:>3} %  {snapshot['message']}")
        if has_result(snapshot):
            self.say(f"{name}Result: {result_of(snapshot['data'])}")

    def note(self, task_id: str | None, text: str) -> None:
        """Print it to stderr, so as not to come between the lines of the tasks."""
        self.complain(f"{self._rows.name(task_id)}: {text}" if self._many and task_id else text)

    def fail(self, task_id: str | None, how: str) -> None:
        """Count it."""
        self._rows.fail(task_id, how)

    def complain(self, text: str) -> None:
        """Print a line to stderr."""
        print(printable(text), file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Print the totals, if there are many tasks."""
        if self._many and (totals := self._rows.totals()):
            self.say(totals)


def has_result(snapshot: Snapshot) -> bool:
    """Whether a task has ended with something to show."""
    return snapshot["status"] == "SUCCESS" and snapshot.get("data") is not None
