"""Practise an exercise in a terminal: check the reader's file each time it is saved, until it is green."""

import ast
import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from pydantic import TypeAdapter
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from examples.lessons.exercises import Exercise, Outcome, exercises
from examples.lessons.timeline import Kind

LOOK_SECONDS = 0.2
"""How often the file is looked at."""


@dataclass
class State:
    """What the reader has done so far, in a file of the reader's folder."""

    path: Path
    solved: list[str] = field(default_factory=list)
    hints: dict[str, int] = field(default_factory=dict)
    """How many hints were given, by exercise."""

    @classmethod
    def load(cls, folder: Path) -> "State":
        """The state of a folder, which may be a new one. Raises `SystemExit` if the file is damaged."""
        path = folder / "progress.json"
        if not path.exists():
            return cls(path)
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return TypeAdapter(cls).validate_python({**fields, "path": path})
        except (ValueError, TypeError):
            raise SystemExit(f"{path} can't be read: repair it, or delete it to begin again.") from None

    def save(self) -> None:
        """Write the file."""
        fields = {name: value for name, value in asdict(self).items() if name != "path"}
        self.path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    def next(self) -> Exercise | None:
        """The first exercise that is not solved."""
        return next((each for each in exercises() if each.name not in self.solved), None)


class Practice:
    """One exercise in a folder of the reader's."""

    def __init__(self, exercise: Exercise, folder: Path, console: Console) -> None:
        """Write the file to work on, unless it is there already."""
        folder.mkdir(parents=True, exist_ok=True)
        self._exercise = exercise
        self._console = console
        self._state = State.load(folder)
        self._path = folder / f"{exercise.name}.py"
        if not self._path.exists():
            self._path.write_text(exercise.start, encoding="utf-8")

    async def check(self) -> bool:
        """Check the file, and say what came out; whether it is green."""
        if not self._path.exists():
            self._say(f"{self._path} is gone: save it again, or stop and start again to begin anew.", "red")
            return False
        self._say(f"Checking {self._path} …", "dim")
        try:
            outcome = await self._exercise.check(self._path)
        except RuntimeError as error:
            self._say(f"Red: {error}", "red")
            return False
        if outcome.parting:
            self._show_red(outcome)
            return False
        self._solve()
        return True

    async def run(self) -> None:
        """Check the file now and after each change, and give hints on request, until it is green."""
        lines = read_lines()
        self._say(f"Edit {self._path}, and save it. A hint: h and Enter. To stop: Ctrl-C.", "bold")
        while not await self._check_until_saved(lines):
            pass

    async def _check_until_saved(self, lines: "Queue[str]") -> bool:
        """Check the file, and wait until it is green or saved again; whether it is green."""
        saved = self._saved()
        checking = asyncio.create_task(self.check())
        try:
            while self._saved() == saved:
                if checking.done() and checking.result():
                    return True
                await asyncio.sleep(LOOK_SECONDS)
                if take(lines).startswith("h"):
                    self.hint()
            return False
        finally:
            checking.cancel()
            await asyncio.wait([checking])

    def hint(self) -> None:
        """Give one more hint, of three."""
        hints = self._exercise.hints
        number = min(self._state.hints.get(self._exercise.name, 0) + 1, len(hints))
        self._state.hints[self._exercise.name] = number
        self._state.save()
        self._say(f"Hint {number} of {len(hints)}: {hints[number - 1]}", "cyan")

    def _saved(self) -> int:
        """When the file was saved; 0 if there is none, as while some editors save it."""
        try:
            return self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False)

    def _show_red(self, outcome: Outcome) -> None:
        parting = outcome.parting
        assert parting is not None
        saw, should = parting.broken, parting.fixed
        viewer = parting.viewer
        for moment in outcome.mine.seen_by(viewer):
            if moment is saw:
                break
            self._say(f"  {moment}", "dim")
        for text in dict.fromkeys(outcome.mine.of(Kind.SERVER)):
            self._say(f"The server printed: {text}", "yellow")
        who = f"viewer {viewer}" if viewer else "the server"
        self._say(f"Red: after {parting.at:.1f} s {who} had", "bold red")
        self._say(f"  {saw or 'nothing more'}", "red")
        self._say("but should have had")
        self._say(f"  {should or 'nothing more'}", "green")

    def _solve(self) -> None:
        if self._exercise.name not in self._state.solved:
            self._state.solved.append(self._exercise.name)
            self._state.save()
        table = Table(title="Yours, and the one of the lesson", expand=True)
        for heading in ("yours", "the lesson's"):
            table.add_column(heading, ratio=1)
        mine = without_docstring(self._path.read_text(encoding="utf-8", errors="replace"))
        table.add_row(*(Syntax(text, "python", word_wrap=True) for text in (mine, self._exercise.solution)))
        self._console.print(table)
        self._say("Green: every viewer saw what it should see.", "bold green")
        following = self._state.next()
        if following is None:
            self._say("That was the last exercise: all of them are solved.", "bold")
        else:
            self._say(f"Next: {sys.executable} -m examples --exercise {following.name}", "bold")


def without_docstring(text: str) -> str:
    """A module from behind its docstring on, so that it stands beside one that has none."""
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    return "".join(lines[tree.body[0].end_lineno :]).lstrip() if ast.get_docstring(tree) else text


def read_lines() -> "Queue[str]":
    """The lines that are typed, read by a daemon thread, which doesn't keep the program from ending."""
    lines: Queue[str] = Queue()

    def read() -> None:
        # Not by sys.stdin's own methods: at exit, their lock would still be held, a fatal error.
        while typed := os.read(sys.stdin.fileno(), 1024):
            for line in typed.decode("utf-8", "replace").splitlines():
                lines.put(line)

    if sys.stdin:  # which a program without a terminal may not have
        Thread(target=read, daemon=True).start()
    return lines


def take(lines: "Queue[str]") -> str:
    """A line, if one has been typed."""
    try:
        return lines.get_nowait().strip().lower()
    except Empty:
        return ""
