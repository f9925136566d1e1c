"""The lessons, side by side in a browser, and their exercises in a terminal.

    python -m examples                               then open http://localhost:8000
    python -m examples --exercise                    the first exercise that is not solved
    python -m examples --exercise work_restarts
    python -m examples --exercise work_restarts --once

You see, for each lesson, what happens with its broken and with its fixed side; or, for an exercise, whether
viewers of your file see what they should, each time you save it.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from examples.lessons.exercises import find_exercise
from examples.lessons.page import app
from examples.lessons.practice import Practice, State
from examples.serving import add_port, check_port
from taskstream.server import serve

NEXT = "the next one"


def main() -> None:
    """Serve the page, or practise an exercise."""
    parser = argparse.ArgumentParser(
        prog="python -m examples", description="The lessons and their exercises."
    )
    add_port(parser)
    parser.add_argument(
        "--exercise",
        nargs="?",
        const=NEXT,
        metavar="NAME",
        help="practise an exercise, or the next one that is not solved",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("exercises"), help="where your files are (exercises)"
    )
    parser.add_argument(
        "--once", action="store_true", help="check the file once: exit code 0 if it is green"
    )
    arguments = parser.parse_args()
    if arguments.exercise is None:
        check_port(parser, arguments.port)
        serve(app, port=arguments.port)
        return
    try:
        sys.exit(practise(arguments.exercise, arguments.folder, once=arguments.once))
    except LookupError as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        path = error.filename or arguments.folder
        parser.exit(2, f"{path}: {error.strerror}. Choose another folder with --folder.\n")
    except KeyboardInterrupt:
        sys.exit(130)


def practise(name: str, folder: Path, *, once: bool) -> int:
    """Practise an exercise; the exit code. Raises `LookupError` if there is none of this name."""
    following = State.load(folder).next() if name == NEXT else find_exercise(name)
    if following is None:
        print("All exercises are solved.")
        return 0
    practice = Practice(following, folder, Console())
    if once:
        return 0 if asyncio.run(practice.check()) else 1
    asyncio.run(practice.run())
    return 0


if __name__ == "__main__":
    main()
