"""A lesson: one file of `examples/traps`, and what its docstring, its scenario and its two halves say."""

import ast
import re
import runpy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from examples.lessons.halves import half
from examples.lessons.scenario import Play, Scenario
from examples.lessons.timeline import Timeline

FOLDER = Path(__file__).parent.parent / "traps"
BROKEN, FIXED = PATHS = ("/broken", "/fixed")
SECTIONS = ("Question", "Symptom", "Cause", "Cure")

ORDER = (
    "work_restarts",
    "token_stream",
    "stolen_events",
    "endless_reconnects",
    "newline_in_data",
    "datetime_in_data",
    "event_named_error",
    "blocking_call",
    "hanging_bridge",
    "subscribing_after_replay",
    "nobody_watches",
    "buffering_proxy",
    "closing_stream",
    "compressing_middleware",
    "five_minute_timeout",
    "mute_connection",
    "authorization_header",
    "seventh_stream",
    "several_workers",
    "retry_storm",
    "unstoppable_server",
    "endless_test",
    "nested_bar",
)
"""In which the lessons are read; one that is not in here comes after these."""


@dataclass(frozen=True)
class Lesson:
    """One file of `examples/traps`."""

    path: Path

    @property
    def name(self) -> str:
        """Its name, without the suffix."""
        return self.path.stem

    @cached_property
    def source(self) -> str:
        """Its text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def docstring(self) -> str:
        """What stands at its top."""
        return ast.get_docstring(ast.parse(self.source)) or ""

    @property
    def title(self) -> str:
        """The first line."""
        return self.docstring.partition("\n")[0].removesuffix(".")

    @cached_property
    def sections(self) -> dict[str, str]:
        """The question that it asks, and its symptom, cause and cure."""
        found = re.findall(r"^(\w+): +(.*(?:\n .*)*)", self.docstring, re.MULTILINE)
        texts = {name: " ".join(text.split()) for name, text in found if name in SECTIONS}
        return {name: text[:1].upper() + text[1:] for name, text in texts.items()}

    @cached_property
    def module(self) -> dict[str, Any]:
        """Its names, as Python has them."""
        return runpy.run_path(str(self.path), run_name=self.name)

    @property
    def scenario(self) -> Scenario:
        """What happens in it; by default, one viewer watches the stream once."""
        return Scenario(**self.module.get("SCENARIO", {}))

    def play(self, timeline: Timeline, module: Path | None = None) -> Play:
        """Serve it, or another module in its place, to be watched in its scenario."""
        return Play(module or self.path, self.scenario, timeline, self.module.get("start_proxy"))

    def half(self, path: str) -> str:
        """The code that serves one of the paths."""
        others = {*PATHS} - {path}
        return half(self.source, others)


def lessons() -> list[Lesson]:
    """All of them, in their order."""
    paths = [path for path in FOLDER.glob("*.py") if path.name != "show.py"]
    place = {name: number for number, name in enumerate(ORDER)}
    return [Lesson(path) for path in sorted(paths, key=lambda path: (place.get(path.stem, 99), path.stem))]


def find(name: str) -> Lesson:
    """The lesson with this name. Raises `LookupError`: a sentence that lists the names."""
    for lesson in lessons():
        if lesson.name == name:
            return lesson
    names = ", ".join(lesson.name for lesson in lessons())
    raise LookupError(f"There is no lesson called '{name}', only: {names}.")
