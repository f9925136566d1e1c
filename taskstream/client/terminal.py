"""What the three clients share around the conversation: where they show it, and how they end."""

import io
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from taskstream.client.bars import Bars
from taskstream.client.command_line import Arguments, parse_arguments
from taskstream.client.commands import python_command
from taskstream.client.display import Display, Lines
from taskstream.client.patience import Patience
from taskstream.client.protocol import ENDED, ServerError, Snapshot, Unreachable

__all__ = ["Arguments", "Terminal", "parse_arguments"]

SUCCESS, FAILED, REFUSED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
"""Exit codes; the last two are what a shell makes of the signals."""

MAX_ADDRESSES = 10
"""How many tasks may print an address each."""


class Terminal:
    """Where a client shows its tasks. Leaving it ends the program, with the exit code that they deserve."""

    def __init__(self, arguments: Arguments, *, many: bool = False) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            if sys.stdout.isatty():  # a name must not fail for want of a character
                sys.stdout.reconfigure(errors="backslashreplace")
            else:  # output, exactly as it is
                sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
        self._arguments = arguments
        self._many = many
        self._started = self._starting = 0
        self._unfinished = dict.fromkeys(arguments.task_ids)
        self._latest: dict[str, Snapshot] = {}
        self._said: set[str] = set()
        self._refused = False
        bars = sys.stdout.isatty() and Console().is_interactive
        self._display: Display = Bars(many=many) if bars else Lines(many=many)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, ServerError):
                self._fail(error, next(iter(self._unfinished), None))
            self._display.stop()
            if isinstance(error, ServerError):  # below the bar, as the last line
                self._complain(str(error))
            code = self._end(error)
        except BrokenPipeError:
            code = PIPE_CLOSED
        if code == PIPE_CLOSED:  # or Python would complain about what it could not write
            for pipe in (sys.stdout, sys.stderr):
                os.dup2(os.open(os.devnull, os.O_WRONLY), pipe.fileno())
        if code is not None:
            sys.exit(code)

    def started(self, snapshot: Snapshot) -> str:
        """Say where the page shows a new task; its id."""
        task_id: str = snapshot["task_id"]
        self._unfinished[task_id] = None
        self._started += 1
        self._starting -= 1
        address = f"{self._arguments.url}/#{task_id}"
        if not self._many:
            self._display.say(address)
        elif self._arguments.count <= MAX_ADDRESSES:
            self._display.say(f"{snapshot['name']}: {address}")
        elif self._started == 1:
            others = f"{self._arguments.url}/#<task_id>"
            self._display.say(f"The page shows each task at {others}; {snapshot['name']}: {address}")
        return task_id

    def patience(self, task_id: str | None = None) -> Patience:
        """How long to go on without a connection, to a task or to start one; shown on the display."""
        url, seconds = self._arguments.url, self._arguments.patience_seconds
        if task_id is None:
            self._starting += 1
            return Patience(url, seconds, self._note_once)
        display = self._display
        return Patience(
            url, seconds, partial(display.note, task_id), on_lost=partial(display.lose, task_id)
        )

    def output(self, task_id: str) -> Callable[[str], object] | None:
        """Where the output of a task is written; None if nobody wants it."""
        return partial(self._display.write, task_id) if self._arguments.output else None

    def show(self, snapshot: Snapshot) -> None:
        """Show how far a task has come."""
        self._latest[snapshot["task_id"]] = snapshot
        if snapshot["status"] in ENDED:
            self._unfinished.pop(snapshot["task_id"], None)
        self._display.show(snapshot)

    def refuse(self, error: ServerError, task_id: str | None = None) -> None:
        """Give up a task, or starting one, and say why, once for all that have the same reason."""
        self._fail(error, task_id)
        if str(error) not in self._said:
            self._said.add(str(error))
            self._complain(str(error))

    def _fail(self, error: ServerError, task_id: str | None) -> None:
        self._refused = True
        self._starting -= task_id is None
        self._display.fail(task_id, "given up" if isinstance(error, Unreachable) else "refused")

    def _note_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._display.note(None, text)

    def _end(self, error: BaseException | None) -> int | None:
        """The exit code; None for an error that is a mistake in the program."""
        match error:
            case BrokenPipeError():
                return PIPE_CLOSED
            case KeyboardInterrupt():
                self._complain("Interrupted." + self._what_may_run() + self._how_to_watch_again())
                return INTERRUPTED
            case BaseException() if not isinstance(error, ServerError):
                return None
        if self._refused:
            return REFUSED
        ok = all(snapshot["status"] == "SUCCESS" for snapshot in self._latest.values())
        return SUCCESS if ok else FAILED

    def _how_to_watch_again(self) -> str:
        if not self._unfinished:
            return ""
        ids = [word for task_id in self._unfinished for word in ("--task-id", task_id)]
        they = "The task goes" if len(self._unfinished) == 1 else "The tasks go"
        command = python_command(sys.argv[0], "--url", self._arguments.url, *ids)
        return f" {they} on; watch again with: {command}"

    def _what_may_run(self) -> str:
        """Say so if the server was asked to start tasks, and has not answered."""
        if not self._starting:
            return ""
        if self._starting == 1:
            return " The server may have started a task whose id has not arrived."
        return f" The server may have started {self._starting} tasks whose ids have not arrived."

    def _complain(self, text: str) -> None:
        self._display.complain(f"{Path(sys.argv[0]).name}: {text}")
