"""What tasks say beside how far they are, on its way to a terminal or a pipe."""

import re
from collections.abc import Callable

from taskstream.client.rows import Rows
from taskstream.client.text import printable

LINE_CHARACTERS = 64 * 1024
"""A line that is longer is broken: one that never ends must not fill the memory."""

ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""What sets a colour or moves the cursor (CSI), and what names a window or an address (OSC; ECMA-48)."""


class WholeLines:
    """The output of tasks, handed on by the line: those of two tasks don't mix."""

    def __init__(self, write: Callable[[str], object], names: Rows | None, *, filtered: bool) -> None:
        """`write` takes lines, each with its end; they begin with the task's name if `names` are given.

        They are `filtered` if they are for a terminal.
        """
        self._write = write
        self._names = names
        self._filtered = filtered
        self._incomplete: dict[str, str] = {}

    def add(self, task_id: str, text: str) -> None:
        """Take a piece of a task's output; write the lines that are complete with it."""
        text = self._incomplete.pop(task_id, "") + text
        end = text.rfind("\n") + 1
        if len(text) - end > LINE_CHARACTERS:
            end = len(text)
        if rest := text[end:]:
            self._incomplete[task_id] = rest
        if end:
            self._write_lines(task_id, text[:end])

    def end_line(self, task_id: str) -> None:
        """Write what a task has left incomplete, as a line."""
        if rest := self._incomplete.pop(task_id, ""):
            self._write_lines(task_id, rest)

    def end(self) -> None:
        """Write what all tasks have left incomplete."""
        for task_id in list(self._incomplete):
            self.end_line(task_id)

    def _write_lines(self, task_id: str, text: str) -> None:
        name = f"{printable(self._names.name(task_id))}: " if self._names else ""
        lines = text.removesuffix("\n").split("\n")
        if self._filtered:
            lines = [for_terminal(line) for line in lines]
        self._write("".join(f"{name}{line}\n" for line in lines))


def for_terminal(line: str) -> str:
    """A line without its colours, and with all else that a terminal would obey spelled out."""
    return printable(ESCAPE_SEQUENCE.sub("", line).removesuffix("\r").expandtabs())


JUMP = 10**9
"""A gap in the numbers that is no number of events: Redis may have lost some, nobody knows how many."""


def gone(count: int) -> str:
    """The news that the server had to forget events before they were seen."""
    if count >= JUMP:
        return "… earlier events may be gone: the server's Redis was restarted"
    return "… 1 earlier event is gone" if count == 1 else f"… {count} earlier events are gone"
