"""The log and its viewers."""

import gc

from hypothesis import given, strategies as st

from taskstream.events import Kind
from taskstream.log import PIECE_BYTES, Log
from taskstream.viewers import Follower, Overview


def log_of(count: int, history_length: int = 1000, *, last: bool = False) -> Log:
    """A log with `count` events whose data are their ids."""
    log = Log(history_length)
    for number in range(1, count + 1):
        log.append(b"%d" % number, Kind.LAST if last and number == count else Kind.SNAPSHOT)
    return log


def ids(events: bytes) -> list[int]:
    """The ids of some events."""
    return [int(line[4:]) for line in events.split(b"\n") if line.startswith(b"id: ")]


def read_all(log: Log, after: int) -> list[int]:
    """All ids that follow one, piece by piece."""
    seen: list[int] = []
    while after != log.last_id:
        events, after = log.after(after)
        seen += ids(events)
        assert seen[-1] == after
    return seen


@given(st.integers(1, 60), st.integers(1, 20), st.data())
def test_what_follows_an_event(count: int, history_length: int, data: st.DataObject) -> None:
    """From anywhere, a viewer gets all that is kept of what follows, in order, without a gap."""
    after = data.draw(st.integers(0, count))
    log = log_of(count, history_length)
    oldest = max(0, count - history_length)
    assert read_all(log, after) == list(range(max(after, oldest) + 1, count + 1))
    lost = b'event: lost\ndata: {"from":%d,"to":%d}\n\n' % (after + 1, oldest)
    assert log.after(after)[0].startswith(lost) == (after < oldest)


def test_a_log_is_bounded_in_bytes() -> None:
    """However large its events are, a log takes no more than it may; the latest event always stays."""
    log = Log(1000, history_bytes=1000)
    log.append(b"x" * 2000)
    assert read_all(log, 0) == [1]
    for _ in range(100):
        log.append(b"x" * 100)
    assert log.after(0)[0].startswith(b'event: lost\ndata: {"from":1,"to":91}\n\nid: 92\n')


def test_a_long_log_comes_in_pieces() -> None:
    """No viewer is handed more than a piece at a time, and one event of any size."""
    log = Log(1001, history_bytes=100 * PIECE_BYTES)
    for _ in range(1000):
        log.append(b"x" * 1000)
    log.append(b"y" * 10 * PIECE_BYTES)
    after, sizes = 0, []
    while after != log.last_id:
        events, after = log.after(after)
        sizes.append(len(events))
    assert max(sizes[:-1]) < PIECE_BYTES + 2000
    assert len(sizes) >= 1000 * 1000 // PIECE_BYTES


async def test_viewers_go_when_the_server_stops() -> None:
    """A closed log lets its viewers read what is there, and no more."""
    log = log_of(3)
    log.close()
    with Follower(log, 1) as viewer:
        assert ids(await viewer.read()) == [2, 3]
        assert await viewer.read() == b""
    with Overview([log]) as overview:
        assert await overview.read() == b"data: 3\n\n"
        assert await overview.read() == b""


async def test_an_overview_shows_the_latest() -> None:
    """A viewer of many logs skips what is out of date, so that none of them can delay another."""
    busy, calm = log_of(500, history_length=10), log_of(1)
    with Overview([busy, calm], [b"event: unknown\ndata: 0\n\n"]) as overview:
        assert await overview.read() == b"event: unknown\ndata: 0\n\ndata: 500\n\ndata: 1\n\n"
        busy.append(b"501")
        busy.append(b"502", Kind.LAST)
        assert await overview.read() == b"data: 502\n\n"
        calm.append(b"2", Kind.LAST)
        assert await overview.read() == b"id: end\ndata: 2\n\n"
        assert await overview.read() == b""
    assert not busy.listeners | calm.listeners


def test_a_log_with_a_gap() -> None:
    """What is before a gap is kept, and whoever comes from there is told what is lost, and no more."""
    log = log_of(3)
    for event_id in (100, 101, 200):
        log.append(b"%d" % event_id, event_id=event_id)
    assert [(each.id, each.lost) for each in log.events_after(1)] == [
        (2, None),
        (3, None),
        (99, range(4, 100)),
        (100, None),
        (101, None),
        (199, range(102, 200)),
        (200, None),
    ]
    assert [each.lost for each in log.events_after(50)][:2] == [range(51, 100), None]
    assert log.after(199) == (b"id: 200\ndata: 200\n\n", 200)


def test_the_latest_snapshot_stays() -> None:
    """Whoever comes too late for some output learns which, and has the latest snapshot first."""
    log = log_of(1, history_length=3)
    for _ in range(20):
        log.append(b"text", Kind.OUTPUT)
    told, bar, *rest = log.events_after(0)
    assert told.lost == range(1, 19)
    assert bar == (1, Kind.SNAPSHOT, b"1")
    assert [each.id for each in rest] == [19, 20, 21]


def test_what_the_garbage_collector_looks_at() -> None:
    """A long log is no more to it than a short one."""
    gc.collect()
    before = len(gc.get_objects())
    log = log_of(1000)
    gc.collect()
    assert log.last_id == 1000
    assert len(gc.get_objects()) - before < 500
