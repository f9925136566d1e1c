"""The seam between what is pushed to a viewer and what it reads by itself."""

import asyncio
import random
import re
import time
from contextlib import suppress

import pytest
from starlette.types import Message

from taskstream.http.push import Follower, Overview, Pushes, Unfinished
from taskstream.log import Log


class Socket:
    """An ASGI `send` that is sometimes full, sometimes slow, and fails at some point if it is to."""

    def __init__(self, draw: random.Random, fail_after: int | None = None) -> None:
        self.received = b""
        self.sends = 0
        self._draw = draw
        self._fail_after = fail_after
        self._busy = False

    async def __call__(self, message: Message) -> None:
        """Take some bytes."""
        self.sends += 1
        if self._fail_after is not None and self.sends > self._fail_after:
            raise OSError("broken pipe")
        assert not self._busy, "a message is sent while another waits for the socket"
        self._busy = True
        if self._draw.random() < 0.5:  # some write first, and some wait first
            self.received += message["body"]
            await self._wait()
        else:
            await self._wait()
            self.received += message["body"]
        self._busy = False

    async def _wait(self) -> None:
        kind = self._draw.random()
        if kind < 0.1:
            await asyncio.sleep(0)
        elif kind < 0.2:
            full = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(self._draw.choice((0, 0.001)), full.set_result, None)
            await full
        elif kind < 0.25:
            for _ in range(3):
                await asyncio.sleep(0)

    @property
    def ids(self) -> list[int]:
        """The ids of all events that have arrived."""
        return [int(each) for each in re.findall(rb"^id: (\d+)$", self.received, re.MULTILINE)]


async def serve(viewer: Follower | Overview, pushes: Pushes, socket: Socket) -> None:
    """What a response does: read, send, and let the viewer be pushed to meanwhile."""
    viewer.attach(socket, pushes)
    try:
        with viewer:
            while events := await viewer.read():
                await socket({"type": "http.response.body", "body": events, "more_body": True})
    finally:
        pushes.viewers.discard(viewer)


async def pause(draw: random.Random, most: int) -> None:
    """Let the loop turn a few times."""
    for _ in range(draw.randint(0, most)):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(60))
async def test_every_event_exactly_once_and_in_order(seed: int) -> None:
    """Whoever joins, stalls, leaves and resumes, whenever: each event arrives once, in order, whole."""
    draw = random.Random(seed)
    log = Log(10_000)
    pushes = Pushes(ping_seconds=0.002)
    total = 200

    async def publish() -> None:
        for number in range(1, total + 1):
            log.append(b"%d" % number, last=number == total)
            if draw.random() < 0.5:
                await pause(draw, 3)

    async def watch() -> list[int]:
        await pause(draw, 100)
        seen: list[int] = []
        while not seen or seen[-1] != total:
            socket = Socket(draw)
            serving = asyncio.create_task(serve(Follower(log, seen[-1] if seen else 0), pushes, socket))
            if draw.random() < 0.7:
                await pause(draw, 200)
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving
            else:
                await serving
            seen += socket.ids
            assert all(
                re.fullmatch(rb"id: (\d+)\ndata: \1|: ping|", each)
                for each in socket.received.split(b"\n\n")
            )
        return seen

    heartbeat = asyncio.create_task(pushes.heartbeat())
    _, *pictures = await asyncio.gather(publish(), *(watch() for _ in range(12)))
    heartbeat.cancel()
    assert pictures == [list(range(1, total + 1))] * 12
    assert not log.listeners
    assert not pushes.viewers


async def test_most_events_are_pushed() -> None:
    """A viewer whose socket takes everything is woken up for the first event and for the end, only."""
    log, pushes = Log(1000), Pushes(15)
    socket = Socket(random.Random(0))
    socket._wait = lambda: asyncio.sleep(0)  # type: ignore[method-assign]
    reads = 0

    class Counting(Follower):
        async def read(self) -> bytes:
            nonlocal reads
            reads += 1
            return await super().read()

    async def take(message: Message) -> None:
        socket.received += message["body"]

    log.append(b"1")
    viewer = Counting(log, 0)
    viewer.attach(take, pushes)

    async def watch() -> None:
        with viewer:
            while events := await viewer.read():
                await take({"body": events})

    watching = asyncio.create_task(watch())
    for number in range(2, 101):
        await pause(random.Random(number), 5)
        log.append(b"%d" % number, last=number == 100)
    await watching
    assert socket.ids == list(range(1, 101))
    assert reads <= 3


@pytest.mark.parametrize("fail_after", [0, 1, 2, 5])
async def test_a_send_that_fails(fail_after: int) -> None:
    """A broken socket is its viewer's trouble, and nobody else's."""
    log, pushes = Log(1000), Pushes(15)
    draw = random.Random(fail_after)
    healthy, broken = Socket(draw), Socket(draw, fail_after)
    watching = [asyncio.create_task(serve(Follower(log, 0), pushes, each)) for each in (healthy, broken)]
    for number in range(1, 301):
        log.append(b"%d" % number, last=number == 300)
        await pause(draw, 4)
    results = await asyncio.gather(*watching, return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], OSError)
    assert healthy.ids == list(range(1, 301))
    assert broken.ids == list(range(1, len(broken.ids) + 1))
    assert not log.listeners


async def test_a_stalled_viewer_delays_nobody() -> None:
    """While one socket is full, the others go on; it catches up when there is room again."""
    log, pushes = Log(1000), Pushes(15)
    room = asyncio.Event()
    slow_received = b""

    async def slow(message: Message) -> None:
        nonlocal slow_received
        if log.last_id >= 3:
            await room.wait()
        slow_received += message["body"]

    quick = Socket(random.Random(1))
    quick._wait = lambda: asyncio.sleep(0)  # type: ignore[method-assign]
    viewer = Follower(log, 0)
    viewer.attach(slow, pushes)

    async def watch() -> None:
        with viewer:
            while events := await viewer.read():
                await slow({"body": events})

    watching = [asyncio.create_task(watch()), asyncio.create_task(serve(Follower(log, 0), pushes, quick))]
    for number in range(1, 51):
        log.append(b"%d" % number, last=number == 50)
        await pause(random.Random(2), 4)
    await watching[1]
    assert quick.ids == list(range(1, 51))
    assert not watching[0].done()
    room.set()
    await watching[0]
    assert [int(each) for each in re.findall(rb"id: (\d+)", slow_received)] == list(range(1, 51))


async def test_a_long_backlog_is_pushed_a_piece_at_a_turn() -> None:
    """A viewer with much to catch up on takes one turn for each piece, and no more."""
    log, pushes = Log(1000), Pushes(15)
    sizes: list[int] = []

    async def take(message: Message) -> None:
        sizes.append(len(message["body"]))

    async def watch() -> None:
        viewer = Follower(log, 0)
        viewer.attach(take, pushes)
        with viewer:
            while await viewer.read():
                pass

    log.append(b"1")
    watching = asyncio.create_task(watch())
    await pause(random.Random(0), 0)
    await asyncio.sleep(0)
    for _ in range(200):
        log.append(b"x" * 40_000)
    turns = 0
    while sum(sizes) < 200 * 40_000:
        before = len(sizes)
        await asyncio.sleep(0)
        turns += 1
        assert len(sizes) - before <= 1
    assert turns >= 100
    log.append(b"end", last=True)
    await watching


async def test_many_viewers_never_block_the_loop_for_long() -> None:
    """Thousands of viewers are served in slices, between which others have their turn."""
    log, pushes = Log(1000), Pushes(15)
    served = 0

    async def take(_: Message) -> None:
        nonlocal served
        served += 1

    async def watch() -> None:
        viewer = Follower(log, 0)
        viewer.attach(take, pushes)
        with viewer:
            while await viewer.read():
                pass

    log.append(b"1")
    watching = [asyncio.create_task(watch()) for _ in range(5000)]
    await asyncio.sleep(0)
    log.append(b"2")
    turns = []
    while served < 5000:
        before = served
        await asyncio.sleep(0)
        turns.append(served - before)
    assert max(turns) <= 100
    log.append(b"3", last=True)
    await asyncio.gather(*watching)


async def test_an_overview_is_pushed_to() -> None:
    """Events of many logs that come at once are sent at once."""
    logs = [Log(10) for _ in range(50)]
    pushes = Pushes(15)
    socket = Socket(random.Random(3))
    for log in logs:
        log.append(b"1")
    watching = asyncio.create_task(serve(Overview(logs), pushes, socket))
    await pause(random.Random(1), 0)
    for number in (2, 3):
        for log in logs:
            log.append(b"%d" % number, last=number == 3)
        await pause(random.Random(4), 50)
    await watching
    assert socket.received.endswith(b"\n\nid: end\ndata: 3\n\n")
    assert socket.received.count(b"data: 3\n") == 50
    assert socket.sends < 20


async def test_heartbeat() -> None:
    """Silence is broken again and again, even before the first event; a recent event is no silence."""
    log, pushes = Log(10), Pushes(ping_seconds=0.01)
    received = b""

    async def take(message: Message) -> None:
        nonlocal received
        received += message["body"]

    async def watch() -> None:
        with viewer:
            while events := await viewer.read():
                await take({"body": events})

    viewer = Follower(log, 0)
    viewer.attach(take, pushes)
    tasks = [asyncio.create_task(watch()), asyncio.create_task(pushes.heartbeat())]
    while received != b": ping\n\n" * 3:  # noqa: ASYNC110 - the loop has to turn
        await asyncio.sleep(0)
    tasks[1].cancel()
    for number in range(5):
        before_event = time.monotonic()
        log.append(b"x")
        while received.count(b"id: ") <= number:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        pings = received.count(b": ping")
        viewer.ping(silent_since=before_event - 1e-6)
        assert received.count(b": ping") == pings
        viewer.ping(silent_since=time.monotonic())
        assert received.count(b": ping") == pings + 1
    tasks[0].cancel()
    await asyncio.wait(tasks)


async def test_the_rest_of_a_coroutine() -> None:
    """Who awaits the rest of a coroutine finishes it; a cancellation reaches it too."""
    log: list[str] = []

    async def steps(*events: asyncio.Event) -> None:
        try:
            for event in events:
                await event.wait()
                log.append("step")
        except asyncio.CancelledError:
            log.append("cancelled")
            await asyncio.sleep(0)
            log.append("cleaned up")
            raise
        await asyncio.sleep(0)
        log.append("end")

    async def rest(unfinished: Unfinished) -> None:
        await unfinished

    first, second = asyncio.Event(), asyncio.Event()
    for cancel in (False, True):
        log.clear()
        first.clear()
        coroutine = steps(first, second)
        waiting = asyncio.create_task(rest(Unfinished(coroutine, coroutine.send(None))))
        await asyncio.sleep(0)
        if cancel:
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert log == ["cancelled", "cleaned up"]
        else:
            first.set()
            second.set()
            await waiting
            assert log == ["step", "step", "end"]
