"""One run of a lesson on the page: both sides at the same time, and what the buttons do to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial

from examples.lessons.lesson import PATHS, Lesson
from examples.lessons.scenario import Play
from examples.lessons.timeline import Moment, Timeline, part

LINGER_SECONDS = 30
"""How long the servers run after a scenario has ended, for the buttons."""
PAGE_SECONDS = 3
"""How long a lesson about pages is recorded."""

Item = dict[str, object]
"""What the page is sent: `moment`, `open`, `part` or `state`."""
END: Item = {"state": "ended"}


class Run:
    """Both sides of a lesson while they are played."""

    def __init__(self, lesson: Lesson) -> None:
        self.task_id = ""
        self._lesson = lesson
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        self._timelines = {path: Timeline(partial(self._send_moment, path)) for path in PATHS}
        self._plays: dict[str, Play] = {}

    async def items(self) -> AsyncIterator[list[Item]]:
        """What happens, in pieces, until the servers are stopped."""
        playing = asyncio.create_task(self._play())
        playing.add_done_callback(lambda _: self._items.put_nowait(END))
        try:
            items: list[Item] = []
            while END not in items:
                items = [await self._items.get()]
                while not self._items.empty():
                    items.append(self._items.get_nowait())
                yield items
            await playing  # which raises what went wrong
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    def cut(self) -> None:
        """Cut the connections of all viewers."""
        for play in self._plays.values():
            play.cut()

    async def add_viewer(self) -> None:
        """Let one more viewer watch each side."""
        for path, play in self._plays.items():
            await play.add_guest(path)

    async def stop_server(self) -> None:
        """Stop both servers as Ctrl-C does, and wait for them, but not for ever."""
        await asyncio.gather(*(play.stop_server() for play in self._plays.values()))

    async def _play(self) -> None:
        async with AsyncExitStack() as stack:
            plays = [self._lesson.play(timeline) for timeline in self._timelines.values()]
            await asyncio.gather(*(stack.enter_async_context(play) for play in plays))
            self._plays = dict(zip(PATHS, plays, strict=True))
            self._items.put_nowait({"state": "playing"})
            async with asyncio.TaskGroup() as sides:
                for path in PATHS:
                    sides.create_task(self._play_side(path))
            self._send_part()
            await asyncio.sleep(LINGER_SECONDS)

    async def _play_side(self, path: str) -> None:
        play = self._plays[path]
        if not self._lesson.scenario.page:
            await play.run(path)
            return
        recorder = await play.add_recorder("A")
        self._timelines[path].start()
        self._items.put_nowait({"open": f"{recorder.url}/#{path}", "side": path})
        await asyncio.sleep(PAGE_SECONDS)

    def _send_moment(self, path: str, moment: Moment) -> None:
        self._items.put_nowait({"moment": asdict(moment), "side": path})

    def _send_part(self) -> None:
        broken, fixed = self._timelines.values()
        parting = part(broken, fixed)
        self._items.put_nowait({"part": parting.at if parting else None, "state": "finished"})
