"""A text that comes token by token, as from a language model, and goes on after a reload.

    python examples/tokens.py                then open http://localhost:8000, and reload in the middle

    curl -X POST 'localhost:8000/texts?words=50'
    curl -N localhost:8000/tasks/<task_id>/stream

You see a text grow word by word. Reload the page, open it in a second tab, cut the connection or close the
browser and come back: the text is whole, and goes on where it was, since it is written by a task and only
read by the page. Leaving doesn't stop it, which costs money with a real model: for that there is a button.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import FileResponse

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that a clone needs no installation

from examples.serving import run
from taskstream import Output, Result, Snapshot, TaskStream, Update

TEXT = "a cat event finds its late log path reader server slow stream task the then viewer waits"
WORDS = TEXT.split()

tasks = TaskStream(page=False)
app = FastAPI()
app.include_router(tasks.router)


@tasks.work(public=False)
async def write(*, words: int, seconds: float, seed: int) -> AsyncIterator[Output | Update | Result]:
    """Make up a text, a word every so many seconds. Here you would ask a model."""
    draw = random.Random(seed)
    for number in range(1, words + 1):
        await asyncio.sleep(seconds)
        yield Output(draw.choice(WORDS) + draw.choice([" ", " ", " ", ", ", ".\n", " – "]))
        if number % 10 == 0:
            yield Update(100 * number / words, f"{number} of {words} words")
    yield Result(message=f"{words} words")


@app.post("/texts")
async def start_text(
    words: Annotated[int, Query(ge=1, le=5000)] = 300,
    seconds: Annotated[float, Query(ge=0, le=10)] = 0.05,
    seed: int = 0,
) -> Snapshot:
    """Start a text. The same seed makes the same text."""
    return await tasks.start(write, words=words, seconds=seconds, seed=seed)


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page that shows it."""
    return FileResponse(Path(__file__).with_suffix(".html"))


if __name__ == "__main__":
    run(app, "Stream a text token by token.")
