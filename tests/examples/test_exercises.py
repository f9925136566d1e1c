"""The exercises: each starts red, each solution ends green, and hints lead from one to the other."""

import ast
import asyncio
import json
import os
import re
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from examples.lessons import practice as practising
from examples.lessons.exercises import Exercise, exercises, find_exercise
from examples.lessons.lesson import lessons
from examples.lessons.page import compare
from examples.lessons.server import serving
from examples.lessons.timeline import Timeline
from tests.support.programs import Program

ALL = exercises()


class Practice(Program):
    """`python -m examples --exercise`, to which one can type."""

    stdin = subprocess.PIPE

    def __init__(self, *arguments: str, folder: Path) -> None:
        flags = ("--exercise", *arguments, "--folder", str(folder))
        super().__init__("-m", "examples", *flags, COLUMNS="120")

    def type(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin
        print(line, file=self.process.stdin, flush=True)

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        assert self.process.stdin
        self.process.stdin.close()


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
    start, solution = (tmp_path / folder / f"{exercise.name}.py" for folder in ("start", "solution"))
    for path, text in ((start, exercise.start), (solution, exercise.solution)):
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    red, green = await asyncio.gather(exercise.check(start), exercise.check(solution))
    assert red.parting
    assert green.parting is None


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
        practice.wait_for("Red: The server has not started: line 1: SyntaxError: invalid syntax$")
        path.unlink()
        practice.wait_for("newline_in_data.py is gone: save it again, ")
        write(path, "while True: pass")
        practice.wait_for("Checking")
        # While it is still being checked:
        write(path, exercise.solution)
        practice.wait_for("the lesson's")
        practice.wait_for("Green: every viewer saw what it should see.")
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
    assert practising.State.load(solved).next() == ALL[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "sentences"),
    [
        (
            "nowhere  # !",
            ["Red: The server has not started: line {}: NameError: name 'nowhere' is not defined"],
        ),
        (
            "async def pasted(name):\n    print('here')\n    yield 1 / 0  # !",
            [
                "The server printed: here",
                "The server printed: line {}: ZeroDivisionError: division by zero",
            ],
        ),
        ("async def pasted(name):\n    while True: pass\n    yield", ["nothing more comes, and no end"]),
        ("async def pasted(name):\n    while True: yield 'data:x\\n\\n'", ["  event     x"]),
    ],
    ids=["import", "error", "blocked", "endless"],
)
async def test_mistakes(code: str, sentences: list[str], tmp_path: Path) -> None:
    """A mistake in the reader's file is a sentence, with its line if it is an error; never a traceback."""
    exercise = find_exercise("newline_in_data")
    before, _, after = exercise.start.partition("async def pasted(name: str)")
    after = after[after.index("@app") :]
    (tmp_path / "newline_in_data.py").write_text(f"{before}{code}\n\n{after}", encoding="utf-8")
    line = 1 + f"{before}{code}".partition("# !")[0].count("\n")
    said = StringIO()
    async with asyncio.timeout(60):
        assert not await practising.Practice(exercise, tmp_path, Console(file=said, width=200)).check()
    for sentence in sentences:
        assert sentence.format(line) in said.getvalue(), said.getvalue()
    assert "Traceback" not in said.getvalue()


async def test_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose import doesn't end is given up, with a question."""
    path = tmp_path / "newline_in_data.py"
    path.write_text("while True: pass", encoding="utf-8")
    monkeypatch.setattr("examples.lessons.server.START_SECONDS", 0.5)
    with pytest.raises(RuntimeError, match=r"not started within 0.5 s: does newline_in_data.py end"):
        async with serving(path, Timeline(), str(tmp_path)):
            raise AssertionError("It has started.")


def test_refused(tmp_path: Path) -> None:
    """A name that no exercise has, a state that can't be read, a folder that isn't one: sentences."""
    with Practice("nothing", folder=tmp_path) as practice:
        assert practice.wait(30) == 2
    assert practice.output.startswith("There is no exercise called 'nothing', only: newline_in_data, ")
    for state in ("{", '{"solved": 1}'):
        (tmp_path / "progress.json").write_text(state, encoding="utf-8")
        with pytest.raises(
            SystemExit, match=r"progress\.json can't be read: repair it, or delete it to begin"
        ):
            practising.State.load(tmp_path)
    with Program("-m", "examples", "--exercise", "--folder", __file__) as program:
        assert program.wait(30) == 2
    assert program.output.endswith("test_exercises.py: File exists. Choose another folder with --folder.\n")
