"""The nemesis: one fault after another, or two at the same time, as its seed has it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack

from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.history import What
from benchmarks.chaos.scene import Scene

LASTING_SECONDS = (0.2, 1, 3, 6, 12)
"""How long a fault lasts: within all limits, beyond some, beyond that of a lease."""

TWO_AT_A_TIME = 0.3
"""The chance that another fault comes while there is one."""


class Nemesis:
    """Does one thing after another to a cluster, and sees how long it takes to recover."""

    def __init__(
        self,
        scene: Scene,
        names: Sequence[str],
        probe: Callable[[], Coroutine[None, None, None]],
        *,
        together: bool = False,
    ) -> None:
        """`probe` returns as soon as all is well again; `together`: all named faults at the same time."""
        self.calm = False
        """Whether it has repaired all that it did."""
        self._together = together
        self._scene = scene
        self._names = names
        self._upcoming: list[str] = []
        self._probe = probe

    async def run(self, until: float) -> None:
        """Do something until then, and wait for the last recovery."""
        record, draw = self._scene.recorder.record, self._scene.draw
        recovery = asyncio.create_task(self._probe())
        try:
            while time.time() < until:
                await asyncio.sleep(draw.uniform(0.2, 2))
                if draw.random() < 0.6:
                    await asyncio.wait([recovery], timeout=max(0, until - time.time()))
                recovery.cancel()  # or the next fault comes too soon to say how long it would have taken
                names = self._next_names()
                seconds = min(draw.choice(LASTING_SECONDS), max(0.2, until - time.time()))
                await self._strike(names, seconds)
                recovery = asyncio.create_task(self._recover(names, time.time()))
            record(What.CALM, "nemesis")
            self.calm = True
            await recovery
        finally:
            recovery.cancel()

    def _next_names(self) -> list[str]:
        """What to do next: each has its turn, some in company."""
        if self._together:
            return list(self._names)
        draw = self._scene.draw
        self._upcoming = self._upcoming or draw.sample(self._names, len(self._names))
        names = {self._upcoming.pop()}
        if draw.random() < TWO_AT_A_TIME:
            names.add(draw.choice(self._names))
        return sorted(names)

    async def _strike(self, names: Sequence[str], seconds: float) -> None:
        """Do this, and repair it after some time."""
        record = self._scene.recorder.record
        for name in names:
            record(What.FAULT, "nemesis", label=name)
        async with AsyncExitStack() as stack:
            for name in names:
                await stack.enter_async_context(FAULTS[name](self._scene))
            await asyncio.sleep(seconds)
        for name in names:
            record(What.HEALED, "nemesis", label=name)

    async def _recover(self, names: Sequence[str], since: float) -> None:
        await self._probe()
        label = " + ".join(sorted(names))
        self._scene.recorder.record(What.RECOVERED, "nemesis", label=label, since=since)
