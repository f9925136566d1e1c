"""When a client tries again, and when it gives up."""

import time

import pytest

from taskstream.client.errors import answer_error
from taskstream.client.protocol import Unreachable
from taskstream.client.retrying import LONGEST_WAIT_SECONDS, Retrying


class Clock:
    """A clock that is set by hand."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def lose(
    retrying: Retrying, clock: Clock, connected_seconds: float | None = None, error: Exception | None = None
) -> int:
    """Lose the connection again and again until patience is at its end; how often that was."""
    for number in range(1000):
        if connected_seconds is not None:
            retrying.connected()
            clock.now += connected_seconds
        try:
            clock.now += retrying.disconnected(error, 0)
        except Unreachable:
            return number
    return 1000


@pytest.mark.parametrize(
    ("connected_seconds", "error"),
    [(None, None), (0, None), (0.001, None), (0.09, None), (45, TimeoutError())],
)
def test_no_events(clock: Clock, connected_seconds: float | None, error: Exception | None) -> None:
    """A connection that is short, or silent, begins nothing anew: patience ends, after few tries."""
    tries = lose(Retrying("http://a", 30), clock, connected_seconds, error)
    assert 7 <= tries <= 10
    assert 29.999 <= clock.now - tries * (connected_seconds or 0) < 31 + (connected_seconds or 0)


def test_time_with_a_connection(clock: Clock) -> None:
    """Seconds with a connection are not counted, and earn back as many: a silent task may last for days."""
    assert lose(Retrying("http://a", 30), clock, connected_seconds=60) == 1000


def test_new_event(clock: Clock) -> None:
    """A new event begins anew: all of the seconds, and the shortest wait."""
    retrying = Retrying("http://a", 30)
    for _ in range(100):
        retrying.connected()
        retrying.received_event()
        wait = retrying.disconnected(None, 0)
        assert 0.1 <= wait <= 0.15
        clock.now += wait


@pytest.mark.usefixtures("clock")
def test_waits() -> None:
    """Waits double up to a limit, and are never shorter than what the server asks for."""
    retrying = Retrying("http://a", 1e6)
    waits = [retrying.disconnected(None, 1) for _ in range(20)]
    assert all(2**n <= wait <= 1.5 * 2**n for n, wait in enumerate(waits[:3]))
    assert all(LONGEST_WAIT_SECONDS <= wait <= 1.5 * LONGEST_WAIT_SECONDS for wait in waits[4:])
    assert retrying.disconnected(None, 60) >= 60


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("8", 8, 12),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 30, 30),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.1, 0.15),
        *[(each, 0.1, 0.15) for each in ("", "soon", "-8", "Sun, 99 Nov 99999 99:99:99 GMT")],
    ],
)
@pytest.mark.usefixtures("clock")
def test_retry_after(value: str, least: float, most: float) -> None:
    """A busy server says by `Retry-After` when to ask again, in seconds or by a date: up to patience."""
    error = answer_error(503, "Busy", {"Retry-After": value}, b"")
    assert least <= Retrying("http://a", 30).disconnected(error, 0) <= most


def test_answers_that_have_waited(clock: Clock) -> None:
    """An answer that has waited and has no event is no failure; one that ends at once is."""
    retrying = Retrying("http://a", 30)
    assert retrying.next_query() == ""
    for _ in range(1000):
        if retrying.next_query() == "":
            clock.now += retrying.read_seconds
            assert retrying.disconnected(TimeoutError(), 0) == 0
            assert retrying.next_query() == "?wait=10"
        clock.now += 10
        retrying.connected()
        pause = retrying.disconnected(None, 0)
        assert 1 <= pause <= 2
        clock.now += pause

    def ask(times: int) -> None:
        for _ in range(times):
            retrying.next_query()
            retrying.connected()
            clock.now += retrying.disconnected(None, 0)

    with pytest.raises(Unreachable, match="the stream ended"):
        ask(15)


def test_less_patience_than_a_stream_has_time(clock: Clock) -> None:
    """Who gives up before a stream would be taken to be held back isn't told that it is."""
    told: list[str] = []
    retrying = Retrying("http://a", 1, told.append)
    retrying.next_query()
    clock.now += retrying.seconds_left
    with pytest.raises(Unreachable, match="timed out"):
        retrying.disconnected(TimeoutError(), 0)
    assert told == []


def test_retry() -> None:
    """A valid `retry` field sets the first wait."""
    retrying = Retrying("http://a")
    for value, seconds in [(None, 1), ("1.5", 1), ("70", 0.07)]:
        retrying.set_retry(value)
        assert retrying.retry_seconds == seconds
