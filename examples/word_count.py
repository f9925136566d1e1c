"""Functions that count call functions that count: files, and the lines of each, whose number nobody knows.

    python examples/word_count.py            then open http://localhost:8000, and start a task

You see a bar that moves with each file, and under it how far it is: `Files 3/9 › Lines 120 lines`. Each
function is an ordinary one: it says what it counts, and not what part of the whole that is.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI
from pydantic import Field

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that a clone needs no installation

from examples.serving import run
from taskstream import TaskStream, track

GUIDES = Path(__file__).parent.parent / "docs"

tasks = TaskStream()
app = FastAPI()
app.include_router(tasks.router)


@tasks.work
def count_words(*, lines_per_second: Annotated[int, Field(ge=1)] = 300) -> dict[str, int]:
    """Count the words of this project's guides."""
    files = sorted(GUIDES.glob("*.md"))
    return {file.name: words_of(file, lines_per_second) for file in track(files, "Files", unit="files")}


def words_of(file: Path, lines_per_second: int) -> int:
    """The words of a file, line by line: how many there are shows at its end."""
    words = 0
    with file.open(encoding="utf-8") as lines:
        for line in track(lines, "Lines", unit="lines"):
            words += len(line.split())
            time.sleep(1 / lines_per_second)
    return words


if __name__ == "__main__":
    run(app, "Count words, and show how far that is.")
