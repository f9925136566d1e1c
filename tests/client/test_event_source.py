"""What event_source.py promises: the standard, byte by byte and connection by connection.

The table has what the web-platform-tests' cases of the format are about.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import combinations, repeat

import aiohttp
import pytest
from sseclient import SSEClient

from taskstream.client import (
    Event,
    EventSource,
    EventSourceError,
    EventTooLarge,
    MimeTypeError,
    NoContent,
    ReadyState,
    StatusError,
)
from taskstream.client.event_source import NETWORK_ERRORS
from taskstream.client.parser import MAX_RECONNECTION_SECONDS, Parser
from taskstream.client.protocol import EVENT_BYTES
from taskstream.client.sync_stream import whole_events
from tests.support.faults import Answer, Exchange, Fault, FaultProxy, Raw


def message(data: str, last_event_id: str = "", type_: str = "message") -> Event:
    return Event(type_, data, last_event_id)


STREAMS = {
    "an event ends with a blank line": (b"data: a\n\n", [message("a")]),
    "lines end with CR": (b"data: a\r\rdata: b\r\r", [message("a"), message("b")]),
    "lines end with CR LF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [message("a"), message("b")]),
    "lines end with all three": (b"id: 1\rdata: a\ndata: b\r\n\r\n", [message("a\nb", "1")]),
    "LF CR are two ends of lines": (b"data: a\n\rdata: b\n\r", [message("a"), message("b")]),
    "nothing else ends a line": (
        "data: a\x0b\x0c\x1c\x85\u2028b\n\n".encode(),
        [message("a\x0b\x0c\x1c\x85\u2028b")],
    ),
    "a leading BOM is dropped": (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
    "only one BOM is dropped": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [message("b")]),
    "a BOM further on is data": (b"data: \xef\xbb\xbfa\n\n", [message("\ufeffa")]),
    "half a BOM is no BOM": (b"\xef\xbbdata: a\n\ndata: b\n\n", [message("b")]),
    "comments are ignored": (b": ping\n:\n\ndata: a\n:data: b\n\n", [message("a")]),
    "data lines are joined": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [message("YHOO\n+2\n10")]),
    "one space is removed": (
        b"data:a\n\ndata: a\n\ndata:  a\n\n",
        [message("a"), message("a"), message(" a")],
    ),
    "other white space is not": (b"data:\ta \n\n", [message("\ta ")]),
    "the standard's test of empty data": (b"data\n\ndata\ndata\n\ndata:", [message(""), message("\n")]),
    "without data no event": (b"event: a\nid: 1\n\n", []),
    "and its type is forgotten": (b"event: a\n\ndata: b\n\n", [message("b")]),
    "but its id counts": (b"id: 1\n\ndata: a\n\n", [message("a", "1")]),
    "an id goes for what follows": (
        b"id: 1\ndata: a\n\ndata: b\n\n",
        [message("a", "1"), message("b", "1")],
    ),
    "an empty id resets it": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", "1"), message("b", "")]),
    "the last id of an event wins": (b"id: 1\ndata: a\nid: 2\n\n", [message("a", "2")]),
    "an id with NUL is ignored": (b"id: 1\nid: 2\x00\ndata: a\n\n", [message("a", "1")]),
    "the type of an event": (
        b"event: add\ndata: a\n\ndata: b\n\n",
        [message("a", "", "add"), message("b")],
    ),
    "an empty type is message": (b"event: add\nevent: \ndata: a\n\n", [message("a")]),
    "a value may contain colons": (b"data: a: b:c\n\n", [message("a: b:c")]),
    "unknown fields are ignored": (b"datum: x\n data: y\nData: z\ndata : u\ndata: a\n\n", [message("a")]),
    "bytes that are not UTF-8": (b"data: a\xff\xe2\x82b\n\n", [message("a\ufffd\ufffdb")]),
    "characters of many bytes": ("data: ½ € 😀\n\n".encode(), [message("½ € 😀")]),
    "an incomplete event is discarded": (b"data: a\n\ndata: b\n", [message("a")]),
    "a BOM before a later field makes it another": (
        b"\xef\xbb\xbfdata:a\n\n\xef\xbb\xbfdata:b\n\ndata:c\n\n",
        [message("a"), message("c")],
    ),
    "comments of any size, with NUL": (
        b"data:1\r:\0\n:\r\ndata:2\n:%b\rdata:3\n\n" % (b"x" * 5000),
        [message("1\n2\n3")],
    ),
    "NUL is data": (b"data:\0\n\n\n\n", [message("\0")]),
    "NUL makes another field": (b"data\0:a\n\0data:b\rda-ta:c\ndata_d\ndata:e\r\n\n", [message("e")]),
    "empty lines of data stay": (b"data:\ta\rdata: \ndata:b\rdata:\r\n\r", [message("\ta\n\nb\n")]),
    "the id of an incomplete event doesn't count": (
        b"data: a\n\nid: 9\ndata: b\n",
        [message("a")],
    ),
    "an incomplete line too": (b"data: a\n\ndata: b\n\ndata", [message("a"), message("b")]),
}


@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)
def test_streams(stream: bytes, events: list[Event]) -> None:
    """A stream means what the standard says, to the parser and to the synchronous client."""
    parser = Parser()
    assert parser.feed(stream) == events
    if events:
        assert parser.last_event_id == events[-1].last_event_id
    said = SSEClient(whole_events([stream])).events()
    assert [(each.event, each.data) for each in said] == [(each.type, each.data) for each in events]


RETRIES = {
    b"1500": 1.5,
    b"0": 0,
    b"007": 0.007,
    b"9" * 5000: MAX_RECONNECTION_SECONDS,
    **dict.fromkeys((b"", b"-1", b"+1", b"1.5", b"1e3", b" 1", b"1 ", b"1000x"), None),
    **dict.fromkeys(("٣".encode(), "²".encode()), None),
}


@pytest.mark.parametrize(("value", "seconds"), RETRIES.items(), ids=lambda value: str(value)[:9])
def test_retry(value: bytes, seconds: float | None) -> None:
    """`retry` sets the reconnection time if it is ASCII digits only; no event is needed for that."""
    parser = Parser()
    assert parser.feed(b"retry: " + value + b"\n") == []
    assert parser.reconnection_seconds == seconds


def test_event_at_once() -> None:
    """An event is there with the CR of its blank line: no LF is waited for, and none is missed."""
    parser = Parser()
    assert parser.feed(b"data: a\r\n\r") == [message("a")]
    assert parser.feed(b"\ndata: b\r\n\r\n") == [message("b")]


@pytest.mark.parametrize("endless", [b"data: x\n", b"x", b"id: x\nevent: y\ndata\n"], ids=repr)
def test_an_event_without_end(endless: bytes) -> None:
    """An event that grows beyond the limit is an error; many events are not."""
    parser = Parser(max_event_bytes=1000)
    for _ in range(1000):
        parser.feed(b"data: " + b"x" * 500 + b"\n\n")
    with pytest.raises(EventTooLarge, match="at most 1000 bytes"):
        [parser.feed(endless) for _ in range(2000)]


def test_largest_event() -> None:
    """What one event may be, the synchronous client counts too."""
    event = b"data: " + b"x" * (EVENT_BYTES - 8) + b"\n\n"
    pieces = (event[start : start + 1000] for start in range(0, len(event), 1000))
    assert list(whole_events(pieces, EVENT_BYTES)) == [event]
    with pytest.raises(EventTooLarge, match="at most"):
        list(whole_events(repeat(b"x" * 1000), EVENT_BYTES))


def in_pieces(stream: bytes, cuts: list[int]) -> tuple[list[Event], str, float | None]:
    """What a parser makes of a stream that comes in pieces."""
    parser = Parser()
    events: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += parser.feed(stream[start:end])
    return events, parser.last_event_id, parser.reconnection_seconds


def test_all_pieces() -> None:
    """Every way to cut a stream into two or three pieces, or into single bytes, gives the same events."""
    text = "\ufeff: hi\r\nid: 1\rretry: 20\ndata: é€😀\r\n\r\ndata\n\nevent: x\r\rid: \0\ndata:  b\r\n\n"
    stream = text.encode()
    whole = in_pieces(stream, [])
    assert [event.data for event in whole[0]] == ["é€😀", "", " b"]
    for number in (1, 2):
        for cuts in combinations(range(len(stream) + 1), number):
            assert in_pieces(stream, list(cuts)) == whole
    assert in_pieces(stream, list(range(len(stream)))) == whole


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
BEGUN = HEAD + b"Content-Length: 1000000\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Mute(Raw):
    """An answer that begins with this, then is silent; told to go on, it breaks."""

    async def relay(self, exchange: Exchange) -> None:
        """Answer in the server's place."""
        exchange.client.write(self.answer)
        await exchange.proxy.go_on.wait()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async with FaultProxy() as proxy:
        yield proxy


def serve(proxy: FaultProxy, *answers: bytes | int | Fault) -> str:
    """The address where these are answered in turn, the last again and again: streams, statuses, others."""

    def fault(answer: bytes | int | Fault) -> Fault:
        match answer:
            case bytes():
                return Raw(HEAD + b"Connection: close\r\n\r\n" + answer)
            case int():
                body = "" if answer == 204 else '{"detail": "No"}'
                return Answer(answer, ("Content-Type: text/event-stream",), body)
        return answer

    proxy.faults = tuple(map(fault, answers))
    proxy.always = proxy.faults[-1]
    return f"{proxy.url}/"


def last_event_ids(proxy: FaultProxy) -> list[str | None]:
    """What each request has said."""
    found = [re.search(rb"\r\nLast-Event-ID: (.*)\r\n", request) for request in proxy.requests]
    return [each and each[1].decode() for each in found]


async def read(source: EventSource) -> list[str]:
    """The data of the events of one connection."""
    async with source.connect() as events:
        return [event.data async for event in events]


async def test_connect(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """One connection: what is asked for, what comes, and what is known afterwards."""
    url = serve(proxy, b"retry: 70\nid: \xc3\xa9\ndata: a\n\nid: 8\n\n")
    source = EventSource(session, url, headers={"X-Key": "k"}, reconnection_seconds=2)
    states = [source.ready_state]
    async with source.connect() as events:
        states.append(source.ready_state)
        assert await anext(events) == message("a", "é")
        assert (source.last_event_id, source.reconnection_seconds) == ("é", 0.07)
        assert [event async for event in events] == []
    assert [*states, source.ready_state] == [ReadyState.CONNECTING, ReadyState.OPEN, ReadyState.CLOSED]
    assert source.last_event_id == "8"
    for header in (b"Accept: text/event-stream", b"Cache-Control: no-cache", b"X-Key: k"):
        assert b"\r\n%b\r\n" % header in proxy.requests[0]
    assert last_event_ids(proxy) == [None]


@pytest.mark.parametrize(
    ("last_event_id", "sent"), [("7", "7"), ("é €", "é €"), ("", None), ("a\x01b", None)]
)
async def test_last_event_id(
    proxy: FaultProxy, session: aiohttp.ClientSession, last_event_id: str, sent: str | None
) -> None:
    """Last-Event-ID is sent as UTF-8 unless it is empty, or no header can carry it."""
    await read(EventSource(session, serve(proxy, b""), last_event_id=last_event_id))
    assert last_event_ids(proxy) == [sent]


async def test_an_id_that_is_taken_back(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """After an empty id no Last-Event-ID is sent; an id counts from the blank line that follows it."""
    answers = (b"id: 1\ndata: a\n\nid: 2\n", b"id: 3\n\n", b"id:\n\n", b"data: b\n\n")
    source = EventSource(session, serve(proxy, *answers))
    assert [await read(source) for _ in answers] == [["a"], [], [], ["b"]]
    assert last_event_ids(proxy) == [None, "1", "3", None]


async def test_bom_of_each_connection(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """Each connection is a stream of its own: a BOM is dropped again, and half a character left behind."""
    source = EventSource(session, serve(proxy, b"\xef\xbb\xbfdata: a\n\ndata: \xe2\x82"))
    assert [await read(source), await read(source)] == [["a"], ["a"]]


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("Content-Type: ", False),
        ("Content-Type: text/event-stream;", True),
        ("Content-Type: TEXT/EVENT-STREAM ; charset=utf-16", True),
        ("Content-Type: text/event-stream/x", False),
        ("Content-Type: text/event-streams", False),
        ("Content-Type: xtext/event-stream", False),
        ("Content-Type: text/html", False),
    ],
)
async def test_mime_types(
    proxy: FaultProxy, session: aiohttp.ClientSession, header: str, *, accepted: bool
) -> None:
    """The type has to be there and right, or the stream ends for good; the encoding is always UTF-8."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n{header}".rstrip()
    source = EventSource(session, serve(proxy, Raw(f"{head}\r\n\r\ndata: é€\n\n".encode())))
    if accepted:
        assert await read(source) == ["é€"]
    else:
        with pytest.raises(MimeTypeError, match="Expected text/event-stream, got"):
            [event async for event in source]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(proxy: FaultProxy, session: aiohttp.ClientSession, status: int) -> None:
    """Redirects are followed, with Last-Event-ID."""
    url = serve(proxy, Answer(status, ("Location: /there",)), b"data: a\n\n")
    assert await read(EventSource(session, url, last_event_id="7")) == ["a"]
    assert proxy.requests[1].startswith(b"GET /there ")
    assert last_event_ids(proxy) == ["7", "7"]


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 404, 500, 502, 503])
async def test_status(proxy: FaultProxy, session: aiohttp.ClientSession, status: int) -> None:
    """Any status but 200 ends the stream for good, with an error that carries it."""
    source = EventSource(session, serve(proxy, status))
    with pytest.raises(StatusError, match=str(status)) as raised:
        [event async for event in source]
    assert raised.value.status == status
    assert isinstance(raised.value, NoContent) == (status == 204)
    assert raised.value.body == (b"" if status == 204 else b'{"detail": "No"}')
    assert source.ready_state == ReadyState.CLOSED
    assert len(proxy.requests) == 1


async def test_reconnects(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """After the end, and after a cut in mid-event, it carries on, and tells why; half an event is none."""
    told: list[tuple[Exception | None, ReadyState]] = []
    cut = Mute(BEGUN + b"id: 2\ndata: b\n\nid: 3\nda")
    source = EventSource(
        session,
        serve(proxy, b"retry: 1\nid: 1\ndata: a\n\n", cut, b"data: c\n\n", 204),
        reconnection_seconds=60,
        on_error=lambda error: told.append((error, source.ready_state)),
    )
    async with aclosing(aiter(source)) as events:
        seen = [await anext(events) for _ in range(2)]
        proxy.go_on.set()
        seen.append(await anext(events))
        with pytest.raises(NoContent):
            await anext(events)
    assert seen == [message("a", "1"), message("b", "2"), message("c", "2")]
    assert last_event_ids(proxy) == [None, "1", "2", "2"]
    assert [isinstance(error, NETWORK_ERRORS) for error, _ in told] == [False, True, False]
    assert {state for _, state in told} == {ReadyState.CONNECTING}


async def test_no_server(no_server: str, proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """A server that isn't there is a network error: it is asked again, after the reconnection time."""
    errors: list[Exception | None] = []

    def count(error: Exception | None) -> None:
        errors.append(error)
        if len(errors) == 3:
            source.url = serve(proxy, 410)

    source = EventSource(session, no_server, reconnection_seconds=0.001, on_error=count)
    with pytest.raises(aiohttp.ClientConnectorError):
        await read(source)
    with pytest.raises(EventSourceError):
        [event async for event in source]
    assert [type(error) for error in errors] == [aiohttp.ClientConnectorError] * 3


async def test_read_timeout(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """A silence of `read_timeout` seconds is a network error, before the first byte and after it."""
    url = serve(proxy, Mute(BEGUN + b"data: a\n\n"), Mute(b""))
    async with EventSource(session, url, read_timeout=0.2).connect() as events:
        assert await anext(events) == message("a")
        with pytest.raises(TimeoutError):
            await anext(events)
    with pytest.raises(TimeoutError):
        await read(EventSource(session, url, read_timeout=0.2))
    with pytest.raises(TimeoutError):
        async with EventSource(session, url).connect(open_timeout=0.2):
            pass


async def test_leaving(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """Leaving the iteration closes the connection; entering it again goes on where it was."""
    left = asyncio.Event()

    class Endless(Mute):
        async def relay(self, exchange: Exchange) -> None:
            exchange.client.write(BEGUN + b"id: 1\ndata: a\n\n")
            try:
                while True:
                    exchange.client.write(b": ping\n")
                    await exchange.client.drain()
                    await asyncio.sleep(0.01)
            finally:
                left.set()

    source = EventSource(session, serve(proxy, Endless(b"")))
    for _ in range(2):
        left.clear()
        async with aclosing(aiter(source)) as events:
            assert await anext(events) == message("a", "1")
        assert source.ready_state == ReadyState.CLOSED
        async with asyncio.timeout(5):
            await left.wait()
    assert last_event_ids(proxy) == [None, "1"]


async def test_comments(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """Comments are handed over where somebody asks for them, in the order of the wire: heartbeats."""
    seen: list[str] = []
    url = serve(proxy, b":\n: ping\n\ndata: a\n\n:  b: c\ndata: d\n\n: e\n")
    async with EventSource(session, url, on_comment=seen.append).connect() as events:
        async for event in events:
            seen.append(event.data)  # noqa: PERF401 - the order is what counts
    assert seen == ["", "ping", "a", " b: c", "d", "e"]


async def test_what_on_comment_raises(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """It is the caller's, even if it looks like an error of the network."""

    def fail(_: str) -> None:
        raise OSError("disk full")

    source = EventSource(session, serve(proxy, b": ping\n"), reconnection_seconds=0, on_comment=fail)
    with pytest.raises(OSError, match="disk full"):
        [event async for event in source]
    assert len(proxy.requests) == 1


async def test_post(proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
    """A stream may be the answer to a POST, which is sent again with its body on each connection."""
    headers, url = {"Content-Type": "application/json"}, serve(proxy, b"id: 7\ndata: a\n\n")
    source = EventSource(session, url, method="POST", headers=headers, body=b'{"a": 1}')
    assert [await read(source), await read(source)] == [["a"], ["a"]]
    for request in proxy.requests:
        assert request.startswith(b"POST / ")
        assert b"\r\nContent-Type: application/json\r\n" in request
        assert request.endswith(b'\r\n\r\n{"a": 1}')
