"""Text for terminals and pipes: what a server sends, made harmless, short enough, and whole lines."""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from itertools import islice

from rich.cells import cell_len, set_cell_size
from rich.filesize import pick_unit_and_suffix

from taskstream.client.protocol import SnapshotDict

RESULT_CHARACTERS = 200
"""How much of a task's result is shown."""
HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what a terminal obeys instead of showing it: control characters, those that turn
text around or are invisible, halves of characters, separators of lines and paragraphs."""
JOINERS = "\u200c\u200d"
"""Invisible, but part of words in some languages, and of emoji."""
ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b(?![]PX[^_])[ -/]*[0-~]"
)
"""What sets a colour or moves the cursor (CSI), what names a window or an address (OSC), and all that has
no parameters, such as the choice of a character set (ECMA-48, ECMA-35)."""
JUMP = 10**9
"""A gap in the numbers that is no number of events: Redis may have lost some, nobody knows how many."""


def printable(text: str) -> str:
    r"""The text, with what must not reach a terminal spelled out: `\x1b`."""
    return "".join(
        each.encode("unicode_escape").decode()
        if unicodedata.category(each) in HARMFUL and each not in JOINERS
        else each
        for each in text
    )


def without_password(text: str) -> str:
    """The text without the user and the password of an address."""
    return re.sub(r"[^\s/'\"]+:[^\s/'\"]*@", "***@", text)


def for_terminal(line: str) -> str:
    r"""A line as it stands there in the end: what is before a `\r` has been written over.

    Its colours are left out, and all else that a terminal would obey is spelled out.
    """
    return printable(ESCAPE_SEQUENCE.sub("", line).rstrip("\r").rpartition("\r")[2].expandtabs())


def shorten(text: str, cells: int) -> str:
    """The text in so many cells of a terminal, without its middle: the number at its end tells it apart."""
    if cell_len(text) <= cells:
        return text
    tail = set_cell_size(text[::-1], (cells - 1) // 2)[::-1]
    return set_cell_size(text, cells - 1 - cell_len(tail)) + "…" + tail


def result_of(snapshot: SnapshotDict) -> str:
    """The result of a task as JSON on one line, or the beginning of it; empty if it has none."""
    if snapshot["status"] != "SUCCESS" or snapshot.get("data") is None:
        return ""
    pieces = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).iterencode(snapshot["data"])
    text = "".join(islice(pieces, RESULT_CHARACTERS + 1))  # no piece is empty, and a row is drawn often
    return printable(text if len(text) <= RESULT_CHARACTERS else text[: RESULT_CHARACTERS - 1] + "…")


def message_of(snapshot: SnapshotDict) -> str:
    """What a task says; where it counts things in one another, all of them: `Files 2/4 › Pages 3/5`."""
    message = printable(snapshot["message"])
    try:
        steps = [printable(numbers_of(**step)) for step in snapshot.get("steps", ())]
        is_counted = message.startswith(f"{printable(snapshot['steps'][-1]['label'])}: ")
    except (ArithmeticError, LookupError, TypeError, ValueError):  # a server of another version
        return message
    if len(steps) < 2 or snapshot["status"] != "PROGRESS":
        return message
    return " › ".join(steps) + ("" if is_counted else f" · {message}")


def numbers_of(label: str, done: float, total: float | None, unit: str = "", **_: object) -> str:
    """How far one step is: `Pages 3/5`, `Lines 1,204 lines`, `Model 3.1/12 MB`."""
    size, what = 1, unit if total is None else ""
    if unit == "B":
        size, what = pick_unit_and_suffix(int(total or done), ["B", "kB", "MB", "GB", "TB", "PB"], 1000)
    numbers = [f"{each / size:,.1f}".removesuffix(".0") for each in (done, total) if each is not None]
    return f"{label} {'/'.join(numbers)} {what}".rstrip()


def is_moving(snapshot: SnapshotDict) -> bool:
    """Whether a task runs, and nobody knows how far it is."""
    if snapshot["status"] not in ("STARTED", "PROGRESS"):
        return False
    match snapshot.get("steps"):
        case [{"total": total}, *_]:
            return total is None
    return bool(snapshot["progress"] == 0)


def events_gone(count: int) -> str:
    """The news that the server had to forget events before they were seen."""
    if count >= JUMP:
        return "… earlier events may be gone: the server's Redis was restarted"
    return "… 1 earlier event is gone" if count == 1 else f"… {count} earlier events are gone"


def duration(seconds: float) -> str:
    """A number of seconds in words: 5 s, 2 min 05 s, 1 h 30 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


class WholeLines:
    """The output of tasks, handed on by the line: those of two tasks don't mix."""

    def __init__(
        self, write: Callable[[str], object], prefix: Callable[[str], str], *, on_terminal: bool
    ) -> None:
        """`write` takes lines, each with its end; they begin with the `prefix` for the task's id."""
        self._write = write
        self._prefix = prefix
        self._convert = for_terminal if on_terminal else str
        self._incomplete: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, task_id: str, text: str) -> None:
        """Take a piece of a task's output; write the lines that are complete with it."""
        complete, line_end, rest = text.rpartition("\n")
        pieces = self._incomplete[task_id]
        if line_end:
            lines = "".join([*pieces, complete]).split("\n")
            pieces.clear()
            prefix = printable(self._prefix(task_id))
            self._write("".join(f"{prefix}{self._convert(line)}\n" for line in lines))
        if rest:
            pieces.append(rest)

    def end_line(self, task_id: str) -> None:
        """Write what a task has left incomplete, as a line."""
        if self._incomplete[task_id]:
            self.add(task_id, "\n")
