"""A lesson in a terminal."""

import argparse
import asyncio
import sys
from pathlib import Path

from examples.lessons.browser import watch_page
from examples.lessons.lesson import BROKEN, FIXED, PATHS, Lesson
from examples.lessons.timeline import Kind, Moment, Timeline, part

PLAIN = frozenset(Kind) - {Kind.BYTES, Kind.RESPONSE}
"""What is printed without `--wire`."""


def show(file: str) -> None:
    """Play the scenario of a lesson with both paths, and print what happens."""
    lesson = Lesson(Path(file))
    parser = argparse.ArgumentParser(description=f"{lesson.title}: what is broken, then what is fixed.")
    parser.add_argument("--wire", action="store_true", help="print the responses and the bytes too")
    kinds = frozenset(Kind) if parser.parse_args().wire else PLAIN
    try:
        asyncio.run(show_both(lesson, kinds))
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as error:
        sys.exit(str(error))


async def show_both(lesson: Lesson, kinds: frozenset[Kind]) -> None:
    """Play both sides, one after the other, and say where they part."""

    def print_moment(moment: Moment) -> None:
        if moment.kind in kinds:
            print(moment, flush=True)

    sides = {path: Timeline(print_moment) for path in PATHS}
    for path, timeline in sides.items():
        print(f"\n{path}", flush=True)
        await play(lesson, path, timeline)
    if parting := part(sides[BROKEN], sides[FIXED]):
        print(f"\nThey part after {parting.at:.1f} s.")


async def play(lesson: Lesson, path: str, timeline: Timeline) -> None:
    """Play one side; a lesson that is about pages, in a browser."""
    async with lesson.play(timeline) as playing:
        if lesson.scenario.page:
            await watch_page(playing, path, timeline)
        else:
            await playing.run(path)
