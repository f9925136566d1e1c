"""Scenarios: what viewers do while a lesson is shown, and how one is played."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from examples.lessons.recorder import Recorder
from examples.lessons.server import LessonServer, serving
from examples.lessons.timeline import Timeline
from examples.lessons.viewer import Viewer

NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
StartProxy = Callable[[int], Awaitable[asyncio.Server]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens to the server of a lesson."""

    viewers: int = 1
    """How many watch the stream."""
    connections: int = 1
    """How often each of them connects, before the scenario ends."""
    cut_after: int = 0
    """Events after which the connection of a viewer is cut, once."""
    leave_after: int = 0
    """Events after which a viewer leaves."""
    linger_seconds: float = 0
    """How long the server is watched after the last viewer has left."""
    beside: str = ""
    """Another stream, which viewer B watches meanwhile."""
    log_in: str = ""
    """Where a viewer sends its `Authorization` header before it watches."""
    stop_after_seconds: float = 0
    """When the server is stopped."""
    servers: int = 1
    """How many processes of the server there are, which take the connections in turn."""
    page: bool = False
    """Whether the lesson has a page of its own, which is watched instead of the stream."""


class Play:
    """One side of a lesson while it is played: its server, and a recorder for each viewer."""

    def __init__(
        self,
        module: Path,
        scenario: Scenario,
        timeline: Timeline,
        start_proxy: StartProxy | None = None,
    ) -> None:
        """`start_proxy` starts the lesson's own proxy before a server."""
        self._module = module
        self._scenario = scenario
        self._timeline = timeline
        self._start_proxy = start_proxy
        self._servers: list[LessonServer] = []
        self._recorders: list[Recorder] = []
        self._watching: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start the server. Raises `RuntimeError`, a sentence, if that fails."""
        ports = []
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="lesson-"))
            for _ in range(self._scenario.servers):
                serve = serving(self._module, self._timeline, folder)
                self._servers.append(await stack.enter_async_context(serve))
                ports.append(await self._servers[-1].port())
            if self._start_proxy:
                proxy = await stack.enter_async_context(await self._start_proxy(ports[0]))
                ports = [proxy.sockets[0].getsockname()[1]]
            self._stack = stack.pop_all()
        self._ports = cycle(ports)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all of it."""
        for each in self._watching:
            each.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._stack.aclose()

    async def run(self, path: str) -> None:
        """Play the scenario with this stream."""
        scenario = self._scenario
        self._timeline.start()
        beside = [await self.add_viewer(scenario.beside, "B")] if scenario.beside else []
        watching = [await self.add_viewer(path, name) for name in NAMES[: scenario.viewers]]
        if scenario.stop_after_seconds:
            await asyncio.sleep(scenario.stop_after_seconds)
            await self.stop_server()
            beside += watching  # which may never end
        else:
            await finished(watching)
        await asyncio.sleep(scenario.linger_seconds)
        self._timeline.stop()
        for each in beside:
            each.cancel()

    async def add_recorder(self, name: str) -> Recorder:
        """A recorder for one more viewer."""
        recorder = Recorder(self._timeline, name, self._ports)
        self._recorders.append(await self._stack.enter_async_context(recorder))
        return recorder

    async def add_viewer(self, path: str, name: str) -> asyncio.Task[None]:
        """Let one of the scenario's viewers watch a stream; the task that does."""
        scenario = self._scenario
        return self._watch(
            await self.add_recorder(name),
            path,
            scenario.connections,
            scenario.cut_after,
            scenario.leave_after,
        )

    async def add_guest(self, path: str) -> None:
        """Let one more viewer watch a stream, whose connection is not cut by the scenario."""
        if len(self._recorders) < len(NAMES):
            self._watch(await self.add_recorder(NAMES[len(self._recorders)]), path, connections=5)

    def _watch(
        self, recorder: Recorder, path: str, connections: int, cut_after: int = 0, leave_after: int = 0
    ) -> asyncio.Task[None]:
        viewer = Viewer(recorder, self._timeline, connections=connections)

        async def watch() -> None:
            if self._scenario.log_in:
                await viewer.log_in(self._scenario.log_in)
            await viewer.watch(path, cut_after=cut_after, leave_after=leave_after)

        watching = asyncio.create_task(watch())
        self._watching.add(watching)
        return watching

    def cut(self) -> None:
        """Cut the connections of all viewers."""
        for recorder in self._recorders:
            recorder.cut()

    async def stop_server(self) -> None:
        """Stop the servers by the signal of Ctrl-C."""
        await asyncio.gather(*(server.stop() for server in self._servers))


async def finished(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Return when all of them have ended. Raises what one of them has raised."""
    for each in tasks:
        await each
