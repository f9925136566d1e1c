"""Tasks as plain lines, where no bars can be drawn; what a display is."""

import sys
from typing import Protocol

from taskstream.client.output import WholeLines, gone
from taskstream.client.protocol import ENDED, Snapshot
from taskstream.client.rows import Rows
from taskstream.client.text import printable, result_of


class Display(Protocol):
    """Where tasks are shown."""

    def say(self, text: str) -> None:
        """Show a line."""

    def show(self, snapshot: Snapshot) -> None:
        """Show how far a task has come."""

    def write(self, task_id: str, text: str) -> None:
        """Show a piece of a task's output."""

    def lose(self, task_id: str, count: int) -> None:
        """Show that so many events of a task are gone, and output with them."""

    def note(self, task_id: str | None, text: str) -> None:
        """Show the state of a task's connection; without an id, of one that is to start a task."""

    def fail(self, task_id: str | None, how: str) -> None:
        """Show that a task was given up or refused; without an id, one that isn't started."""

    def complain(self, text: str) -> None:
        """Show what went wrong."""

    def stop(self) -> None:
        """Show what is to be said at the end, and leave the terminal as it was."""


class Lines:
    """The output of the tasks on stdout, and nothing else; a line for each other event on stderr."""

    def __init__(self, *, many: bool) -> None:
        self._many = many
        self._rows = Rows()
        self._terminal = sys.stdout.isatty()
        self._output = WholeLines(print_output, self._rows if many else None, filtered=self._terminal)

    def say(self, text: str) -> None:
        """Print a line to stderr."""
        print(printable(text), file=sys.stderr, flush=True)

    def show(self, snapshot: Snapshot) -> None:
        """Print a task's status, percentage, message and result; its name first, if there are many."""
        self._rows.show(snapshot)
        if snapshot["status"] in ENDED:
            self._output.end_line(snapshot["task_id"])
        name = f"{snapshot['name']}: " if self._many else ""
        self.say(f"{name}{snapshot['status']:<8} {snapshot['progress']:>3} %  {snapshot['message']}")
        if has_result(snapshot):
            self.say(f"{name}Result: {result_of(snapshot['data'])}")

    def write(self, task_id: str, text: str) -> None:
        """Print a piece of a task's output: in a pipe as it is, unless there are many tasks."""
        if self._many or self._terminal:
            self._output.add(task_id, text)
        else:
            print_output(text)

    def lose(self, task_id: str, count: int) -> None:
        """Print to stderr how many events are gone."""
        self._output.end_line(task_id)
        self.note(task_id, gone(count))

    def note(self, task_id: str | None, text: str) -> None:
        """Print it."""
        self.say(f"{self._rows.name(task_id)}: {text}" if self._many and task_id else text)

    def fail(self, task_id: str | None, how: str) -> None:
        """Count it."""
        self._rows.fail(task_id, how)

    def complain(self, text: str) -> None:
        """Print a line to stderr."""
        self.say(text)

    def stop(self) -> None:
        """Print incomplete lines, and the totals if there are many tasks."""
        self._output.end()
        if self._many and (totals := self._rows.totals()):
            self.say(totals)


def print_output(text: str) -> None:
    """Print to stdout, at once."""
    print(text, end="", flush=True)


def has_result(snapshot: Snapshot) -> bool:
    """Whether a task has ended with something to show."""
    return snapshot["status"] == "SUCCESS" and snapshot.get("data") is not None
