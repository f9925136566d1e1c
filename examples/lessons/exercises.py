"""Exercises: the broken half of a lesson, to be changed until viewers see what they should."""

import asyncio
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from examples.lessons.hints import HINTS, hints
from examples.lessons.lesson import BROKEN, FIXED, Lesson, find
from examples.lessons.timeline import Parting, Timeline, part

STREAM = "/stream"
PLAY_SECONDS = 10
"""After which a stream that doesn't end has been watched for long enough."""
QUOTES = '"""'

ASKED = (
    "Change this file until every viewer sees what it should: it is checked each time you save it. Leave "
    "the path of the stream, and the lines that print. The solution is in examples/traps/{name}.py: ask "
    "for a hint before you look."
)


@dataclass(frozen=True)
class Exercise:
    """A lesson, seen from its broken side."""

    lesson: Lesson

    @property
    def name(self) -> str:
        """The name of the lesson."""
        return self.lesson.name

    @property
    def hints(self) -> tuple[str, ...]:
        """Up to three, from a question to the line that is needed."""
        return hints(self.name)

    @property
    def start(self) -> str:
        """What the reader begins with."""
        sections = self.lesson.sections
        texts = (
            f"{self.lesson.title}.",
            sections["Question"],
            f"Symptom: {sections['Symptom']}",
            ASKED.format(name=self.name),
        )
        top = "\n\n".join(textwrap.fill(text, 100, break_on_hyphens=False) for text in texts)
        raw = "r" if "\\" in top else ""
        return f"{raw}{QUOTES}{top}\n{QUOTES}\n\n{self.code(BROKEN)}"

    @property
    def solution(self) -> str:
        """The fixed half of the lesson."""
        return self.code(FIXED)

    def code(self, path: str) -> str:
        """One half, under the path and the name that both have here."""
        return self.lesson.half(path).replace(path, STREAM).replace(f"def {path[1:]}(", "def stream(")

    async def check(self, module: Path) -> "Outcome":
        """Play a module and the solution at the same time, to see where they part, if they do.

        Raises `RuntimeError`, a sentence that says why, if the module can't be served.
        """
        outcome = await self._compare(module)
        if outcome.parting and outcome.parting.is_only_late:
            outcome = await self._compare(module)  # the machine may have been busy
        return outcome

    async def _compare(self, module: Path) -> "Outcome":
        mine, expected = Timeline(), Timeline()
        with tempfile.TemporaryDirectory(prefix="lesson-") as folder:
            solution = Path(folder) / f"{self.name}.py"
            solution.write_text(self.solution, encoding="utf-8")
            plays = self._play(module, mine), self._play(solution, expected)
            for result in await asyncio.gather(*plays, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
        return Outcome(mine, expected, part(mine, expected))

    async def _play(self, module: Path, timeline: Timeline) -> None:
        async with self.lesson.play(timeline, module) as playing:
            try:
                async with asyncio.timeout(PLAY_SECONDS):
                    await playing.run(STREAM)
            except TimeoutError:  # what it has shown until now is not what it should show
                timeline.stop()


@dataclass(frozen=True)
class Outcome:
    """What viewers saw, and what they should have seen."""

    mine: Timeline
    expected: Timeline
    parting: Parting | None


def exercises() -> list[Exercise]:
    """All of them, in their order."""
    return [Exercise(find(name)) for name in HINTS]


def find_exercise(name: str) -> Exercise:
    """The exercise with this name. Raises `LookupError`: a sentence that lists the names."""
    if name not in HINTS:
        raise LookupError(f"There is no exercise called '{name}', only: {', '.join(HINTS)}.")
    return Exercise(find(name))
