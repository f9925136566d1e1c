"""How streams are written to: together while they are up to date, each for itself while they are behind."""

import asyncio
import logging
import random
import re
from collections.abc import Callable

import pytest

from taskstream.events import Kind
from taskstream.http.stream import Stream
from taskstream.http.streams import Streams
from taskstream.http.write_queue import SLICE
from taskstream.log import PIECE_BYTES, Log
from taskstream.viewers import Follower, Viewer

Write = Callable[[bytes], object]


class Socket:
    """A connection that is sometimes full, and fails after so many writes if it is to."""

    def __init__(self, full: Callable[[], float | None] = lambda: None, fail_after: int = 10**9) -> None:
        self.received = b""
        self.writes = 0
        self.finished = self.aborted = False
        self.transport = self
        self.stream: Stream
        self._full = full
        self._fail_after = fail_after

    def write(self, chunk: bytes) -> None:
        """Take a chunk; then be full for so many seconds, perhaps."""
        assert not self.finished
        assert not self.aborted
        self.writes += 1
        if self.writes > self._fail_after:
            raise OSError("broken pipe")
        size, _, rest = chunk.partition(b"\r\n")
        assert len(rest) == int(size, 16) + 2
        self.received += rest[:-2]
        if not self.stream.paused and (seconds := self._full()) is not None:
            self.stream.pause()
            asyncio.get_running_loop().call_later(seconds, self.drain)

    def drain(self) -> None:
        """Take more."""
        self.stream.paused = False
        self.stream.resume()

    def finish(self) -> None:
        """The response ends."""
        self.finished = True

    def abort(self) -> None:
        """The connection is cut."""
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        """How much it still has to send."""
        return 0

    @property
    def ids(self) -> list[int]:
        """The ids of all events that have arrived."""
        return [int(each) for each in re.findall(rb"^id: (\d+)$", self.received, re.MULTILINE)]


def connect(streams: Streams, viewer: Viewer, socket: Socket | None = None, retry: bytes = b"") -> Socket:
    """A stream of this viewer, as a response begins it."""
    socket = socket or Socket()
    streams.take_place()
    socket.stream = Stream(viewer, socket, retry, streams)  # type: ignore[arg-type] # it is attached already
    socket.stream.write = socket.write
    socket.stream.begin()
    return socket


def log_of(count: int, history_length: int = 10_000) -> Log:
    """A log with so many events."""
    log = Log(history_length)
    for number in range(1, count + 1):
        log.append(b"%d" % number)
    return log


async def turn(times: int = 5) -> None:
    """Let the loop turn a few times."""
    for _ in range(times):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> list[float]:
    """The time, to be set."""
    return [0.0]


@pytest.fixture
def streams(clock: list[float]) -> Streams:
    return Streams(limit=10_000, ping_seconds=15, now=lambda: clock[0])


@pytest.fixture
def log() -> Log:
    return log_of(1)


@pytest.mark.parametrize("seed", range(20))
async def test_every_event_exactly_once_and_in_order(seed: int) -> None:
    """Whoever joins, stalls, leaves and resumes, whenever: each event arrives once, in order, whole."""
    draw = random.Random(seed)
    streams = Streams(limit=100, ping_seconds=0.002)
    log = Log(10_000)
    total = 300

    def full() -> float | None:
        return draw.choice((0, 0, 0.001)) if draw.random() < 0.2 else None

    async def publish() -> None:
        for number in range(1, total + 1):
            log.append(b"%d" % number, Kind.LAST if number == total else Kind.SNAPSHOT)
            if draw.random() < 0.5:
                await turn(draw.randint(0, 3))

    async def watch() -> list[int]:
        await turn(draw.randint(0, 100))
        seen: list[int] = []
        while not seen or seen[-1] != total:
            socket = connect(streams, Follower(log, seen[-1] if seen else 0), Socket(full))
            stays = draw.random() < 0.3
            for _ in range(10**6 if stays else draw.randint(0, 200)):
                if socket.finished:
                    break
                await asyncio.sleep(0)
            socket.stream.end("left")
            seen += socket.ids
            blocks = socket.received.split(b"\n\n")
            assert all(re.fullmatch(rb"id: (\d+)\ndata: \1|: ping|", each) for each in blocks)
        return seen

    watching = asyncio.create_task(streams.watch())
    _, *pictures = await asyncio.gather(publish(), *(watch() for _ in range(12)))
    watching.cancel()
    assert pictures == [list(range(1, total + 1))] * 12
    assert streams.open == 0
    assert sum(streams.outcomes.values()) == streams.opened
    assert not log.listeners


async def test_an_event_is_framed_once(streams: Streams, log: Log) -> None:
    """Viewers that are up to date are given the very same bytes."""
    given: list[bytes] = []
    for _ in range(50):
        socket = connect(streams, Follower(log, 0))
        socket.stream.write = given.append
    log.append(b"2")
    await turn()
    assert len(given) == 50
    assert len({id(chunk) for chunk in given}) == 1
    assert (streams.events, streams.bytes) == (50 * 2, 50 * (len(b"id: 1\ndata: 1\n\n") * 2))


async def test_retry_is_in_the_first_event(streams: Streams, log: Log) -> None:
    """Whether that is there when the stream opens, or comes later, behind a comment; and in no other."""
    early = connect(streams, Follower(log, 0), retry=b"\nretry: 7\n")
    late = connect(streams, Follower(log, 1), retry=b"\nretry: 8\n")
    for number in (2, 3):
        log.append(b"%d" % number)
        await turn()
    assert early.received == b"id: 1\nretry: 7\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n"
    assert late.received == b": ping\n\nid: 2\nretry: 8\ndata: 2\n\nid: 3\ndata: 3\n\n"


@pytest.mark.parametrize("fail_after", [0, 1, 2, 5])
async def test_a_write_that_fails(
    streams: Streams, log: Log, fail_after: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is its viewer's trouble and nobody else's, and it is logged."""
    sockets = [connect(streams, Follower(log, 0)) for _ in range(3)]
    broken = connect(streams, Follower(log, 0), Socket(fail_after=fail_after))
    sockets += [connect(streams, Follower(log, 0)) for _ in range(3)]
    for number in range(2, 21):
        log.append(b"%d" % number, Kind.LAST if number == 20 else Kind.SNAPSHOT)
        await turn()
    assert [socket.ids for socket in sockets] == [list(range(1, 21))] * 6
    assert broken.ids == list(range(1, fail_after + 1))
    assert broken.aborted
    assert streams.outcomes == {"ended": 6, "failed": 1}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "broken pipe" in caplog.text
    assert not log.listeners


@pytest.mark.parametrize("end", ["last", "close"])
async def test_an_end_while_behind(streams: Streams, log: Log, end: str) -> None:
    """A viewer that is behind is told everything before its stream ends."""
    socket = connect(streams, Follower(log, 0), Socket(lambda: 3600))
    log.append(b"2", Kind.LAST if end == "last" else Kind.SNAPSHOT)
    log.close()
    await turn()
    assert not socket.finished
    socket._full = lambda: None
    socket.drain()
    await turn()
    assert socket.ids == [1, 2]
    assert socket.finished
    assert streams.outcomes == {"ended" if end == "last" else "stopped": 1}


async def test_a_long_backlog_is_written_a_piece_at_a_turn(streams: Streams) -> None:
    """A viewer with much to catch up on takes one turn for each piece, and no more."""
    log = Log(1000, history_bytes=16 * 1024 * 1024)
    for _ in range(50):
        log.append(b"x" * 40_000)
    socket = connect(streams, Follower(log, 0))
    turns = 0
    while len(socket.received) < 50 * 40_000:
        before = len(socket.received)
        await asyncio.sleep(0)
        turns += 1
        assert len(socket.received) - before < 2 * PIECE_BYTES
    assert turns >= 22


@pytest.mark.parametrize(("count", "viewers"), [(1, 5000), (2000, 1)])
async def test_many_streams_never_block_the_loop_for_long(
    streams: Streams, count: int, viewers: int
) -> None:
    """Thousands of viewers are served in slices, between which others have their turn; so are logs."""
    written: list[bytes] = []
    logs = [log_of(1) for _ in range(count)]
    for log in logs:
        for _ in range(viewers):
            connect(streams, Follower(log, 0)).stream.write = written.append
    for log in logs:
        log.append(b"2")
    turns = []
    while len(written) < count * viewers:
        before = len(written)
        await asyncio.sleep(0)
        turns.append(len(written) - before)
    assert max(turns) <= SLICE


async def test_heartbeat(streams: Streams, log: Log, clock: list[float]) -> None:
    """A silence is broken when it has lasted long enough, again and again; a recent event is no silence."""
    socket = connect(streams, Follower(log, 1))
    for now, pings in ((14, 0), (15, 1), (29, 1), (30, 2)):
        clock[0] = now
        socket.stream.check(clock[0])
        assert socket.received == b": ping\n\n" * pings
    clock[0] = 40
    log.append(b"2")
    await turn()
    clock[0] = 54
    socket.stream.check(clock[0])
    assert socket.received.count(b": ping") == 2
    clock[0] = 55
    socket.stream.check(clock[0])
    assert socket.received.count(b": ping") == 3
