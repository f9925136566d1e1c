"""The clients as guests: sessions that raise, guarded servers, comments, and what flags refuse."""

import asyncio
import time
import zlib
from contextlib import suppress

import aiohttp
import pytest
import requests
from aiohttp import web
from aiohttp.test_utils import TestServer

import client
import sse_client
from taskstream.client import EventSource
from taskstream.client.environment import proxies_count
from taskstream.client.event_source import open_session
from taskstream.client.parser import Parser
from taskstream.client.protocol import ServerError
from taskstream.client.retrying import Retrying
from taskstream.client.sync_stream import open_session as open_sync_session
from taskstream.terminal.command_line import parse_arguments
from tests.support.programs import Server


@pytest.mark.parametrize("fields", [{"seconds": "bad"}, {"work": "none"}])
async def test_a_session_that_raises_for_a_status(server: Server, fields: dict[str, str]) -> None:
    """A refusal is told at once, in the server's words, whatever the session does with its status."""
    began = time.monotonic()
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        with pytest.raises(ServerError, match="422"):
            await client.start_task(session, server.url, Retrying(server.url, 4), **fields)
    with requests.Session() as sync_session:
        sync_session.hooks["response"].append(lambda response, **_: response.raise_for_status())
        with pytest.raises(ServerError, match="422"):
            sse_client.start_task(sync_session, server.url, Retrying(server.url, 4), **fields)
        with pytest.raises(ServerError, match="404"):
            next(sse_client.watch_task(sync_session, server.url, "x", Retrying(server.url, 4)))
    assert time.monotonic() - began < 3


async def test_headers_of_a_session(server: Server) -> None:
    """`--header` is sent with each request, by both clients."""
    echo = {"X-Echo": "yes"}
    async with open_session(server.url, echo) as session:
        assert session.headers["X-Echo"] == "yes"
    with open_sync_session(server.url, echo) as sync_session:
        assert sync_session.headers["X-Echo"] == "yes"


def test_comments_come_in_the_order_of_the_wire() -> None:
    """One is told when the events before it have been taken, and before those behind it are."""
    seen: list[str] = []
    parser = Parser(on_comment=seen.append)
    for event in parser.parse(b": a\n\ndata: 1\n\n: b\n\ndata: 2\n\n: c\n\n"):
        seen.append(event.data)  # noqa: PERF401 - the order is what counts
    assert seen == ["a", "1", "b", "2", "c"]


async def test_what_on_comment_raises(server: Server) -> None:
    """It is the caller's, even if it looks like an error of the network."""

    def fail(_: str) -> None:
        raise OSError("disk full")

    async with open_session(server.url) as session:
        task = await client.start_task(session, server.url, seconds=60, steps=1)
        source = EventSource(
            session,
            f"{server.url}/task-progress/{task['task_id']}",
            last_event_id="2",
            reconnection_seconds=0,
            on_comment=fail,
        )
        async with asyncio.timeout(10):
            with pytest.raises(OSError, match="disk full"):
                async for _ in source:
                    pass
        async with session.post(f"{server.url}/cancel-task/{task['task_id']}"):
            pass


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "https://a.localhost", "http://127.0.0.2", "http://[::1]:1"]
)
def test_no_proxy_for_the_machine_itself(url: str) -> None:
    """A proxy would not find what only this machine has."""
    assert not proxies_count(url)
    assert proxies_count("http://localhost.example.org")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--count", "1001"], "'1001' is not a whole number, 1 to 1000"),
        (["--header", "secret"], "NAME:VALUE"),
        (["--header", "a b:secret"], "NAME:VALUE"),
        (["--header", "a:secret\r\nb:c"], "NAME:VALUE"),
    ],
)
def test_bad_flags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    """One sentence, which doesn't repeat what may be a secret."""
    monkeypatch.setattr("sys.argv", ["client.py", *flags])
    with pytest.raises(SystemExit):
        parse_arguments("A client.", many=True)
    sentence = capsys.readouterr().err
    assert words in sentence
    assert sentence.count("\n") == 1
    assert "secret" not in sentence


def test_headers_by_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a name and a value; the value may have colons."""
    monkeypatch.setattr(
        "sys.argv", ["client.py", "--header", "Authorization: Bearer a:b", "--header", "X:"]
    )
    assert parse_arguments("A client.").headers == {"Authorization": "Bearer a:b", "X": ""}


async def test_a_body_that_decodes_to_nothing() -> None:
    """Bytes that say nothing are silence, however many come: the connection is taken for dead."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}
        )
        await response.prepare(request)
        compressor = zlib.compressobj(wbits=31)
        await response.write(compressor.compress(b""))
        with suppress(ConnectionError):
            while True:
                await response.write(compressor.flush(zlib.Z_FULL_FLUSH) or b"\0\0\0\xff\xff")
                await asyncio.sleep(0.02)
        return response

    application = web.Application()
    application.router.add_get("/", handle)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        source = EventSource(session, str(server.make_url("/")), read_timeout=0.3)
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                async with source.connect() as events:
                    await anext(events)
