"""What the three clients share around the conversation: where they show it, and how they end."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from rich.text import Text

from taskstream.client.protocol import ENDED, ServerError, SnapshotDict
from taskstream.client.retrying import Retrying
from taskstream.terminal.bars import Bars
from taskstream.terminal.command_line import Arguments, advice, python_command
from taskstream.terminal.text import WholeLines, events_gone, printable, result_of, without_password

SUCCESS, FAILED, REFUSED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
"""Exit codes; the last two are what a shell makes of the signals."""


class Terminal:
    """Where a client shows its tasks: as bars, or as lines on stderr, with nothing but output on stdout.

    Leaving it ends the program, with the exit code of how the tasks have ended.
    """

    def __init__(self, arguments: Arguments, *, many: bool = False) -> None:
        on_terminal = sys.stdout is not None and sys.stdout.isatty()  # None: it is closed
        if isinstance(sys.stdout, io.TextIOWrapper):
            if on_terminal:  # a name must not fail for want of a character, nor grow wider than its column
                sys.stdout.reconfigure(errors="replace")
            else:  # output, exactly as it is
                sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
        self._program = Path(sys.argv[0]).name
        self._arguments = arguments
        self._many = many
        self._task_ids = list(arguments.task_ids)
        self._printed_once: set[str] = set()
        self._bars = Bars(many=many)
        self._lines = WholeLines(self._print_output, self._prefix, on_terminal=on_terminal)
        self._by_line = many or on_terminal
        if on_terminal and self._bars.console.is_interactive:
            self._bars.live.start()

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, self._leave_terminal)
        if sys.platform != "win32":
            signal.signal(signal.SIGTSTP, self._leave_terminal)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a runner may pass on a Ctrl-C that has come already
        try:
            code = self._end(error)
        except OSError as problem:  # of stderr: there is no place left to say so
            error, code = problem, PIPE_CLOSED if isinstance(problem, BrokenPipeError) else REFUSED
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # another may end it while Python waits for threads
        if isinstance(error, OSError):  # or Python would complain about what it could not write
            for stream in filter(None, (sys.stdout, sys.stderr)):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if code is not None:
            sys.exit(code)

    def started(self, snapshot: SnapshotDict) -> str:
        """Print where the page shows a new task; its id."""
        task_id: str = snapshot["task_id"]
        self._task_ids.append(task_id)
        name = f"{snapshot['name']}: " if self._many else ""
        self._print(f"{name}{self._arguments.url}/#{task_id}")
        return task_id

    def retrying(self, task_id: str | None = None) -> Retrying:
        """How to retry watching a task, or starting one; the state of the connection is shown here."""
        notify = partial(self._print_about, task_id) if task_id else self._print_once
        on_lost = partial(self._report_lost, task_id or "")
        return Retrying(self._arguments.url, self._arguments.patience, notify, on_lost=on_lost)

    def on_output(self, task_id: str) -> Callable[[str], object] | None:
        """What shows the output of a task: in a pipe as it is, unless there are many; None if unwanted."""
        if not self._arguments.output:
            return None
        return partial(self._lines.add, task_id) if self._by_line else self._print_output

    def show(self, snapshot: SnapshotDict) -> None:
        """Show how far a task has come; on a terminal a bad end gets a line too, which isn't cut short."""
        self._bars.show(snapshot)
        task_id, status = snapshot["task_id"], snapshot["status"]
        if status in ENDED:
            self._lines.end_line(task_id)
        if not self._bars.live.is_started:
            progress, message = snapshot["progress"], snapshot["message"]
            self._print_about(task_id, f"{status:<8} {progress:>3} %  {message}")
            if result := result_of(snapshot):
                self._print_about(task_id, f"Result: {result}")
        elif status in ENDED - {"SUCCESS"}:
            self._print(f"{snapshot['name']}: {status} {snapshot['message']}")

    def report_error(self, error: ServerError, task_id: str | None = None) -> None:
        """Give up a task, or starting one, and say why, once for all that have the same reason."""
        self._bars.abandon(task_id, error)
        self._print_once(f"{self._program}: {advice(error, self._arguments.url)}")

    def _report_lost(self, task_id: str, count: int) -> None:
        """Show that so many events of a task are gone, in the place of what they said."""
        self._lines.end_line(task_id)
        self._print_about(task_id, events_gone(count))

    def _prefix(self, task_id: str) -> str:
        """What lines about a task begin with: its name, if there are many."""
        return f"{self._bars.name(task_id)}: " if self._many else ""

    def _print(self, text: str) -> None:
        """Print a line to stderr, or above the bars, which would overwrite it."""
        if "@" in self._arguments.url:
            text = without_password(text)
        if self._bars.live.is_started:
            self._print_output(printable(text))
        elif sys.stderr:  # if it is closed, `print` would take stdout
            print(printable(text), file=sys.stderr, flush=True)

    def _print_about(self, task_id: str, text: str) -> None:
        self._print(self._prefix(task_id) + text)

    def _print_once(self, text: str) -> None:
        if text not in self._printed_once:
            self._printed_once.add(text)
            self._print(text)

    def _print_output(self, text: str) -> None:
        """Print to stdout, at once; above the bars, if there are any."""
        if self._bars.live.is_started:
            self._bars.console.print(Text(text.removesuffix("\n")), soft_wrap=True)
        elif sys.stdout:
            print(text, end="", flush=True)
        else:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _leave_terminal(self, number: int, _: object) -> None:
        """Give the cursor back, then end or stop as if nobody had handled the signal."""
        console = self._bars.console
        if console.is_terminal:
            os.write(console.file.fileno(), b"\x1b[?25h")  # rich may be in the middle of writing
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, self._leave_terminal)  # it was stopped, and goes on
        if self._bars.live.is_started:
            os.write(console.file.fileno(), b"\x1b[?25l")

    def _end(self, error: BaseException | None) -> int | None:
        """Print what comes below the bars; the exit code, or None for an error in the program itself."""
        ended = {task_id for task_id, each in self._bars.snapshots.items() if each["status"] in ENDED}
        unfinished = [task_id for task_id in self._task_ids if task_id not in ended]
        if isinstance(error, ServerError):
            self._bars.abandon(unfinished[0] if unfinished else None, error)
        for task_id in self._task_ids:
            self._lines.end_line(task_id)
        was_drawn = self._bars.live.is_started
        self._bars.live.stop()
        if self._many and not was_drawn and (totals := self._bars.totals()):
            self._print(totals)
        match error:
            case BrokenPipeError():
                return PIPE_CLOSED
            case OSError():
                self._print(f"{self._program}: The output can't be written: {error.strerror or error}.")
                return REFUSED
            case KeyboardInterrupt():
                flags = [word for each in unfinished for word in ("--task-id", each)]
                again = python_command(sys.argv[0], "--url", self._arguments.url, *flags)
                hint = f" What was started goes on; watch again with: {again}" if unfinished else ""
                self._print(f"{self._program}: Interrupted.{hint}")
                return INTERRUPTED
            case ServerError():
                self._print(f"{self._program}: {advice(error, self._arguments.url)}")
            case BaseException():
                return None
        if self._bars.abandoned:
            return REFUSED
        ok = all(snapshot["status"] == "SUCCESS" for snapshot in self._bars.snapshots.values())
        return SUCCESS if ok else FAILED
