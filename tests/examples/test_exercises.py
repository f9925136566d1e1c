"""The exercises: each starts red, each solution ends green, and hints lead from one to the other."""

import ast
import json
import os
import re
from pathlib import Path

import pytest

from examples.lessons.exercises import Exercise, exercises, find_exercise
from examples.lessons.lesson import lessons
from examples.lessons.page import compare
from tests.support.programs import Program

ALL = exercises()


TYPED = """
import runpy, sys
sys.stdin = open(sys.argv.pop(1), encoding="utf-8")
runpy.run_module("examples", run_name="__main__", alter_sys=True)
"""


class Practice(Program):
    """`python -m examples --exercise`, to which one can type."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self._keyboard = folder / "keyboard"
        if not self._keyboard.exists():
            os.mkfifo(self._keyboard)
        # For reading as well: so neither side waits until the other one has opened it.
        self._typing = os.open(self._keyboard, os.O_RDWR)
        flags = ("--exercise", *arguments, "--folder", str(folder))
        super().__init__("-c", TYPED, str(self._keyboard), *flags, COLUMNS="120")

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._typing, f"{line}\n".encode())

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        os.close(self._typing)


def write(path: Path, text: str) -> None:
    """Save a file, at a time that differs from the last one's, however coarse the clock of the disk is."""
    saved = path.stat().st_mtime if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    os.utime(path, (saved + 1, saved + 1))


@pytest.fixture(params=ALL, ids=lambda exercise: exercise.name)
def exercise(request: pytest.FixtureRequest) -> Exercise:
    value: Exercise = request.param
    return value


def test_order() -> None:
    """The path of exercises leads to the log with cursors; each of them is a lesson."""
    assert ALL[0].name == "newline_in_data"
    assert ALL[-1].name == "work_restarts"
    assert {each.name for each in ALL} <= {each.name for each in lessons()}


def test_file(exercise: Exercise) -> None:
    """A file begins with what is asked for, is valid Python, and has nothing of the solution in it."""
    text = exercise.start
    top = ast.get_docstring(ast.parse(text)) or ""
    assert exercise.lesson.sections["Question"].split()[-1] in top
    assert "Change this file" in top
    assert "/stream" in text
    for other in ("/broken", "/fixed", "fixed("):
        assert other not in text.replace(f"examples/traps/{exercise.name}.py", "")


def test_hints(exercise: Exercise) -> None:
    """Each hint names code that the solution adds or removes."""
    rows = compare(exercise.start, exercise.solution)
    changed = "\n".join(f"{row['broken']}\n{row['fixed']}" for row in rows if row["differs"])
    assert len(exercise.hints) == 3
    for hint in exercise.hints:
        assert any(code in changed for code in re.findall("`(.+?)`", hint)), hint


@pytest.mark.slow
async def test_red_then_green(exercise: Exercise, tmp_path: Path) -> None:
    """What one begins with is red, the solution is green."""
    path = tmp_path / f"{exercise.name}.py"
    path.write_text(exercise.start, encoding="utf-8")
    assert (await exercise.check(path)).parting
    path.write_text(exercise.solution, encoding="utf-8")
    outcome = await exercise.check(path)
    assert outcome.parting is None


@pytest.mark.slow
def test_practice(tmp_path: Path) -> None:
    """The file is written, and checked on each save; hints are given; green is the end, and remembered."""
    exercise = find_exercise("newline_in_data")
    path = tmp_path / "newline_in_data.py"
    with Practice(folder=tmp_path) as practice:
        practice.wait_for("Red: after")
        practice.wait_for("event +joined: Ada$")
        practice.wait_for("but should have had")
        practice.wait_for("joined: Ada⏎⏎event: logout")
        assert path.read_text(encoding="utf-8") == exercise.start
        for number in (1, 2, 3, 3):
            practice.type("h")
            practice.wait_for(f"Hint {number} of 3: ")
        write(path, "def")
        practice.wait_for("Red: The server has not started:")
        practice.wait_for("SyntaxError")
        write(path, exercise.solution)
        practice.wait_for("Green: every viewer saw what it should see.")
        practice.wait_for("the lesson's")
        practice.wait_for(r"Next: \S+ -m examples --exercise datetime_in_data")
        assert practice.wait() == 0
    state = json.loads((tmp_path / "progress.json").read_text(encoding="utf-8"))
    assert state == {"solved": ["newline_in_data"], "hints": {"newline_in_data": 3}}


@pytest.fixture
def solved(tmp_path: Path) -> Path:
    """A folder in which the first exercise is solved."""
    state = {"solved": [ALL[0].name], "hints": {}}
    (tmp_path / "progress.json").write_text(json.dumps(state), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_next(solved: Path) -> None:
    """Without a name it is the first one that is not solved; a file that is there is not overwritten."""
    path = solved / f"{ALL[1].name}.py"
    path.write_text(ALL[1].solution, encoding="utf-8")
    with Practice("--once", folder=solved) as practice:
        assert practice.wait(30) == 0, practice.output
    assert path.read_text(encoding="utf-8") == ALL[1].solution
    assert json.loads((solved / "progress.json").read_text())["solved"] == [ALL[0].name, ALL[1].name]
    with Practice("--once", folder=solved) as practice:
        assert practice.wait(30) == 1, practice.output
    assert (solved / f"{ALL[2].name}.py").exists()


def test_refused(tmp_path: Path) -> None:
    """A name that no exercise has, and a state that can't be read, are sentences."""
    with Practice("nothing", folder=tmp_path) as practice:
        assert practice.wait(30) == 2
    assert practice.output.startswith("There is no exercise called 'nothing', only: newline_in_data, ")
    (tmp_path / "progress.json").write_text("{", encoding="utf-8")
    with Practice("work_restarts", folder=tmp_path) as practice:
        assert practice.wait(30) == 1
    assert "progress.json can't be read: repair it, or delete it to begin again." in practice.output
