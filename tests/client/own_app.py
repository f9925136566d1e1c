"""The demo with work that has something to say: `python -m tests.client.own_app`."""

import asyncio
from collections.abc import AsyncIterator

from app import main, tasks
from taskstream import Output, Update


@tasks.work
async def speech(
    *, pieces: list[str], seconds: float = 0, times: int = 1
) -> AsyncIterator[Output | Update]:
    """Say these pieces, again and again, with an update after every other one."""
    for number in range(times * len(pieces)):
        yield Output(pieces[number % len(pieces)])
        if number % 2:
            yield Update(100 * number / (times * len(pieces)), f"Piece {number}")
        await asyncio.sleep(seconds)


if __name__ == "__main__":
    main()
