"""The clients as guests: sessions that raise, guarded servers, comments, and what flags refuse."""

import asyncio
import socket
import time
import zlib
from dataclasses import dataclass

import aiohttp
import pytest
import requests
import urllib3

import client
import sse_client
from taskstream.client import sync_stream
from taskstream.client.protocol import ServerError, Unreachable, WrongServer
from taskstream.client.retrying import Retrying
from tests.client.running import ALL, ONE, AsyncClient, Run, hasty
from tests.support.faults import Answer, Exchange, Fault, FaultProxy
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


@ONE
@pytest.mark.parametrize("flags", [(), ("--task-id", "x")], ids=["start", "watch"])
async def test_headers(run: Run, client: str, flags: tuple[str, ...]) -> None:
    """`--header` is sent when a task is started, and when it is watched; the value may have colons."""
    async with FaultProxy(always=Answer(404)) as proxy:
        headers = ("--header", "Authorization: Bearer a:b", "--header", "X:")
        assert await asyncio.to_thread(run(client, "--url", proxy.url, *flags, *headers).wait) == 2
    (request,) = proxy.requests
    assert b"\r\nAuthorization: Bearer a:b\r\nX: \r\n" in request


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
GZIP = HEAD + b"Content-Encoding: gzip\r\n\r\n"
NOTHING = zlib.compressobj(wbits=31).flush(zlib.Z_FULL_FLUSH)
BOMB = zlib.compress(b"data: " + b"x" * 10_000_000, wbits=31)


@dataclass(frozen=True, slots=True)
class Endless(Fault):
    """A body that goes on and on."""

    begin: bytes
    again: bytes

    request_bytes = 0

    async def relay(self, exchange: Exchange) -> None:
        """Answer in the server's place."""
        exchange.client.write(self.begin)
        while True:
            exchange.client.write(self.again * 100)
            await exchange.client.drain()
            await asyncio.sleep(0.001)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (GZIP + chunk(NOTHING), chunk(b"\0\0\0\xff\xff")),
        (HEAD + b"\r\n0\r\n", b"a: b\r\n"),
        (GZIP + chunk(BOMB), b""),
    ],
    ids=["a body that decodes to nothing", "fields behind it without end", "a bomb"],
)
async def test_endless_bodies(either: AsyncClient, begin: bytes, again: bytes) -> None:
    """Bytes that say nothing are silence, however many come; those that say too much are refused."""
    async with FaultProxy(always=Endless(begin, again)) as proxy, asyncio.timeout(20):
        with pytest.raises(Unreachable if again else WrongServer):
            await either.watch(proxy.url, "x", hasty(proxy.url, 1))


def test_a_connection_closed_by_its_own_timeout() -> None:
    """Also where the connection's own timeout comes first, the end of the time is one `TimeoutError`."""
    ours, theirs = socket.socketpair()
    response = requests.Response()
    response.raw = urllib3.HTTPResponse(ours.makefile("rb"), preload_content=False)

    def read(count: int, **_: bool) -> bytes:
        response.raw.close()
        ours.close()
        return theirs.recv(count)

    with theirs, pytest.raises(TimeoutError):
        sync_stream.read_within(0.05, response, read, 1)


@pytest.mark.parametrize(
    ("url", "variables", "asked"),
    [
        ("http://nowhere.invalid", {"http_proxy": "{proxy}"}, True),
        ("http://localhost.nowhere.invalid", {"http_proxy": "{proxy}"}, True),
        ("http://nowhere.invalid", {"http_proxy": "{proxy}", "no_proxy": "nowhere.invalid"}, False),
        ("http://nowhere.invalid", {"http_proxy": "{proxy}", "no_proxy": "*"}, False),
        ("http://nowhere.invalid", {"all_proxy": "{proxy}"}, False),
        ("http://nowhere.invalid", {"https_proxy": "{proxy}"}, False),
        *[
            (f"{here}:1", {"http_proxy": "{proxy}", "https_proxy": "{proxy}"}, False)
            for here in ("http://localhost", "https://a.localhost", "http://127.0.0.2", "http://[::1]")
        ],
    ],
    ids=str,
)
async def test_proxies(
    monkeypatch: pytest.MonkeyPatch, either: AsyncClient, url: str, variables: dict[str, str], asked: bool
) -> None:
    """Both clients ask the same proxy, or none: not for this machine itself, which it would not find."""
    async with FaultProxy(always=Answer(422, (), '{"detail": "I am the proxy."}')) as proxy:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(proxy=proxy.url))
        with pytest.raises(ServerError) as raised:
            await either.start(url, Retrying(url, 0))
        assert ("I am the proxy" in str(raised.value)) == asked


@pytest.mark.parametrize("url", ["http://me:s3cret@127.0.0.1:1", "http://me:s3cret@local host"])
@ALL
def test_a_password_in_the_address(run: Run, client: str, url: str) -> None:
    """It is never printed."""
    program = run(client, "--url", url)
    assert program.wait() == 2
    assert "***@" in program.output
    assert "s3cret" not in program.output
