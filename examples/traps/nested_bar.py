"""The bar that is nearly done after the first of three files.

    python examples/traps/nested_bar.py

Question: Why does the bar rush ahead, and then stand still?
Symptom:  three files of two pages each: with the second page the bar says 50 %, and says so until the last
          one. Without the `max` it would go back to 0 % with each file.
Cause:    the function that converts a file says how much of that file is done, as it knows of no other.
          Taken for a share of the whole, each file is all there is.
Cure:     whoever calls it in a loop makes the bar honest, as the loop knows what its current item is worth:
          (files done + share of the current one) / files. That works however deep loops are in one
          another. (`track` inside of `track` does so, see examples/word_count.py.)
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from sse_starlette import EventSourceResponse

FILES, PAGES = 3, 2

app = FastAPI()


async def convert() -> AsyncIterator[float]:
    """Convert one file; before each page, the share of it that is done."""
    for page in range(PAGES):
        yield page / PAGES
        await asyncio.sleep(0.1)


async def progress_broken() -> AsyncIterator[str]:
    """How far three files are, in percent."""
    percent = 0.0
    for _ in range(FILES):
        async for share in convert():
            percent = max(percent, 100 * share)
            yield f"{percent:.0f} %"
    yield "100 %"


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Show what each file says."""
    return EventSourceResponse(progress_broken())


async def progress_fixed() -> AsyncIterator[str]:
    """How far three files are, in percent."""
    for file in range(FILES):
        async for share in convert():
            yield f"{100 * (file + share) / FILES:.0f} %"
    yield "100 %"


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Show what that is of all files."""
    return EventSourceResponse(progress_fixed())


if __name__ == "__main__":
    from show import show

    show(__file__)
