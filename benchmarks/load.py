"""The load generator, in a process of its own: thousands of viewers of one server.

It is told what to do by lines of JSON on stdin, and answers each by one on stdout: see `Generator`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import uvloop

from benchmarks.reader import Reader, Reading
from benchmarks.viewer import Requester, Viewer, Watch

CONNECTIONS_AT_A_TIME = 100
RECONNECTIONS_AT_A_TIME = 20
VIEWERS_PER_ADDRESS = 20_000
"""One source address has some 28 000 ports; the viewers beyond come from 127.0.0.2 and so on."""
SAMPLES = 100_000


class Generator:
    """All viewers. Each public coroutine is a command: its keyword arguments and result are the JSON."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._viewers: list[Viewer] = []
        self._readers: list[Reader] = []
        self._reading = Reading(b"")
        self._watch = Watch()
        self._counted = 0

    async def connect(self, *, paths: Sequence[str], viewers: int) -> None:
        """Open `viewers` streams of each path."""
        await self._watch_streams([Viewer(self._watch, path) for path in paths for _ in range(viewers)])

    async def read(self, *, path: str, viewers: int, pieces: int) -> None:
        """Open streams of a task that writes so many pieces of a text."""
        self._reading = reading = Reading.of(pieces)
        self._readers = [Reader(self._watch, path, reading) for _ in range(viewers)]
        await self._watch_streams(self._readers)

    async def progress(self) -> dict[str, float]:
        """How many characters all readers have received, and how many of them have the whole text."""
        return {
            "characters": sum(reader.characters for reader in self._readers),
            "whole": self._reading.whole,
            "wrong": self._reading.wrong,
            "seconds": self._reading.last_at - self._reading.first_at,
        }

    async def cut(self) -> None:
        """Leave all streams without a word."""
        for viewer in self._viewers:
            viewer.transport.abort()

    async def forget(self) -> None:
        """Leave all streams, and begin anew."""
        await self.cut()
        self._viewers.clear()

    async def begin(self, *, expected: float = 0) -> None:
        """Begin to count, and to note the age of some of the events that are `expected`."""
        self._counted = sum(viewer.events for viewer in self._viewers)
        self._watch.samples.clear()
        self._watch.sampling = min(1, SAMPLES / expected) if expected else 0

    async def count(self) -> dict[str, float]:
        """How many events have been received since `begin`, and how many streams have ended."""
        return {
            "events": sum(viewer.events for viewer in self._viewers) - self._counted,
            "ended": sum(viewer.lost for viewer in self._viewers),
        }

    async def end(self) -> dict[str, float]:
        """The same, and how many milliseconds old the events were when they arrived."""
        self._watch.sampling = 0
        return await self.count() | percentiles(self._watch.ages())

    async def reconnect(self, *, within: float, awaited: str, patience: float) -> dict[str, float]:
        """Bring back the viewers that were cut, each with its Last-Event-ID, evenly `within` seconds.

        Answers how long it took until all of them, and each of them, had received what is `awaited`.
        """
        gone, self._viewers = self._viewers, []
        self._watch.look_out_for(awaited.encode(), len(gone))
        began = time.monotonic()
        opening = []
        for number, viewer in enumerate(gone):
            if number % RECONNECTIONS_AT_A_TIME == 0:
                await asyncio.sleep(max(0, began + number * within / len(gone) - time.monotonic()))
            back = Viewer(self._watch, viewer.path, viewer.last_event_id)
            opening.append(asyncio.create_task(self._watch_stream(back)))
        await asyncio.gather(*opening)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._watch.all_caught_up.wait()
        seconds = time.monotonic() - began
        return {
            "seconds": seconds,
            "missing": self._watch.missing,
            **percentiles(sorted(self._watch.delays)),
        }

    async def ask(self, *, path: str, body: str, connections: int, seconds: float) -> dict[str, float]:
        """Send requests for some seconds, on so many connections at a time; without a body, by GET."""
        requesters = [Requester(path, body) for _ in range(connections)]
        for each in requesters:
            await self._open(each)
        await asyncio.sleep(seconds)
        for each in requesters:
            each.transport.abort()
        return {
            "answers": sum(each.answers for each in requesters),
            "failures": sum(each.failures for each in requesters),
        }

    async def _watch_streams(self, viewers: Sequence[Viewer]) -> None:
        for start in range(0, len(viewers), CONNECTIONS_AT_A_TIME):
            batch = viewers[start : start + CONNECTIONS_AT_A_TIME]
            await asyncio.gather(*(self._watch_stream(viewer) for viewer in batch))

    async def _watch_stream(self, viewer: Viewer) -> None:
        address = f"127.0.0.{1 + len(self._viewers) // VIEWERS_PER_ADDRESS}"
        self._viewers.append(viewer)
        await self._open(viewer, address)

    async def _open(self, protocol: asyncio.Protocol, address: str = "127.0.0.1") -> None:
        await asyncio.get_running_loop().create_connection(
            lambda: protocol,
            "127.0.0.1",
            self._port,
            local_addr=None if address == "127.0.0.1" else (address, 0),
        )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The values that 50 and 99 percent of the sorted `values` don't exceed; NaN of none."""

    def percentile(share: float) -> float:
        return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")

    return {"p50": percentile(0.5), "p99": percentile(0.99)}


async def main() -> None:
    """Do what stdin says, until it ends."""
    generator = Generator(int(sys.argv[1]))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command: dict[str, Any] = json.loads(line)
        result = await getattr(generator, command.pop("command"))(**command)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
