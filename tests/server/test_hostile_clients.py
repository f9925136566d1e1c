"""Clients that mean harm, or have odd ideas of HTTP: each gets a status or an end, nobody else notices."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from taskstream.server.connection import HEAD_SECONDS
from tests.server.test_limits import connection, until_streams
from tests.support.api import LONG_TASK, Api
from tests.support.programs import AsyncioServer, Server

HOST = b"Host: localhost\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST
START = b"POST /start-task HTTP/1.1\r\n" + HOST
UPGRADE = (
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)


@pytest.fixture(scope="module", params=[Server, AsyncioServer])
def victim(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with uvloop, and one without. Neither may complain, nor keep anything."""
    with request.param("--retry-milliseconds", "0") as server:
        yield server
        server.stop()
        assert "Traceback" not in server.output
        assert "ERROR" not in server.output


@pytest.fixture
async def api(session: aiohttp.ClientSession, victim: Server) -> AsyncIterator[Api]:
    api = Api(session, [victim.url])
    yield api
    assert (await api.json("GET", "/health"))["status"] == "ok"
    await until_streams(api, 0)


async def answers(server: Server, *requests: bytes) -> bytes:
    """All that the server answers on one connection, up to its end."""
    async with connection(server, b"".join(requests)) as reader, asyncio.timeout(15):
        return await reader.read()


def status(answer: bytes) -> int:
    """The status of the first answer."""
    return int(answer.split()[1])


def refusal(answer: bytes) -> int:
    """The status of an answer that comes from the connection itself, and that no cache may keep."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.lower().count(b"\r\ncache-control: no-store") == 1
    assert json.loads(body)["detail"]
    return status(answer)


TOO_LARGE = {
    "address": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "one header": HEALTH + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    "name of a header": HEALTH + b"x" * 100_000 + b": x\r\n\r\n",
    "many headers": HEALTH + b"X: x\r\n" * 20_000 + b"\r\n",
    "megabytes": HEALTH + b"X: " + b"x" * 30_000_000,
    "many task ids": b"GET /task-progress?" + b"task_id=x&" * 10_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "trailers": START + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X: x\r\n" * 100_000,
    "chunk extension": START + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 1_000_000,
}


@pytest.mark.parametrize("request_bytes", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_head_too_large(victim: Server, api: Api, request_bytes: bytes) -> None:
    """More than 64 KiB that are not a body get a 431, however they come; one sent in one piece, too."""
    before = (await api.json("GET", "/health"))["tasks"]
    answer = await answers(victim, request_bytes)
    assert refusal(answer) == 431
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"].endswith("larger than 64 KiB.")
    assert (await api.json("GET", "/health"))["tasks"] == before


ANSWERED = {
    "a head of 60 KiB": (HEALTH + b"Cookie: " + b"x" * 60_000 + b"\r\n\r\n", [200]),
    "an address with a host": (b"GET http://example.org/health HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "who asks before a body": (START + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", [100, 200]),
    "a body that would be too large": (START + b"Content-Length: 99999999\r\n\r\n", [413]),
    "and asks": (START + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", [413]),
}


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(("request_bytes", "statuses"), ANSWERED.values(), ids=ANSWERED.keys())
async def test_answered(victim: Server, request_bytes: bytes, statuses: list[int]) -> None:
    """What is odd but right has its answer: a body that is announced as too large before it is sent."""
    async with connection(victim, request_bytes) as reader, asyncio.timeout(5):
        for expected in statuses:
            assert status(await reader.readuntil(b"\r\n\r\n")) == expected


NOT_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "two lengths": START + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": START + b"Content-Length: -1\r\n\r\n",
    "raw bytes": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "no path": b"GET ?x HTTP/1.1\r\n" + HOST + b"\r\n",
    "bad chunk": START + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


@pytest.mark.parametrize("request_bytes", NOT_HTTP.values(), ids=NOT_HTTP.keys())
async def test_not_http(victim: Server, api: Api, request_bytes: bytes) -> None:
    """What isn't HTTP gets a 400, and starts nothing."""
    before = (await api.json("GET", "/health"))["tasks"]
    assert refusal(await answers(victim, request_bytes)) == 400
    assert (await api.json("GET", "/health"))["tasks"] == before


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"nonsense"])
async def test_upgrade(victim: Server, api: Api, protocol: bytes) -> None:
    """A request for another protocol is answered as if it hadn't asked, and ends its connection."""
    task_id = (await api.start(seconds=0))["task_id"]
    request = b"GET /task-progress/%b HTTP/1.1\r\n" % task_id.encode()
    upgrade = HOST + UPGRADE + b"Upgrade: %b\r\n" % protocol
    for headers in (b"\r\n", b"Content-Length: 0\r\n\r\n", b"X: x\r\n" * 200 + b"\r\n"):
        answer = await answers(victim, request + upgrade + headers, HEALTH + b"\r\n")
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200"]
        assert answer.count(b'"SUCCESS"') == 1


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"nonsense"])
@pytest.mark.parametrize(
    "body",
    [
        b'Content-Length: 15\r\n\r\n{"name":"body"}',
        b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"na\r\nb\r\nme":"body"}\r\n0\r\n\r\n',
    ],
)
async def test_upgrade_with_a_body(victim: Server, api: Api, protocol: bytes, body: bytes) -> None:
    """One that has a body is refused: it starts nothing, and ends its connection."""
    before = (await api.json("GET", "/health"))["tasks"]
    answer = await answers(victim, START + UPGRADE + b"Upgrade: %b\r\n" % protocol + body, HEALTH)
    assert refusal(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert (await api.json("GET", "/health"))["tasks"] == before


async def test_heads_are_not_counted_together(api: Api) -> None:
    """A connection may ask as often as it likes."""
    for _ in range(4):
        await api.json("GET", "/health", headers={"X": "x" * 30_000})


@pytest.mark.usefixtures("api")
async def test_space_at_the_end_of_a_header(victim: Server) -> None:
    """It is no part of the value: under one key, with it and without, is one task."""
    start = START + b"Content-Length: 0\r\nConnection: close\r\nIdempotency-Key: spaced%b\r\n\r\n"
    once, again = [await answers(victim, start % end) for end in (b"", b" \t")]
    assert status(again) == 200
    assert re.findall(rb'"task_id":"\w+"', once) == re.findall(rb'"task_id":"\w+"', again)


@pytest.mark.usefixtures("api")
async def test_a_large_body_in_small_chunks(victim: Server) -> None:
    """10 MiB in chunks of 1 KiB get one answer, and the request behind them its own."""
    chunks = b"400\r\n%b\r\n" % (b"x" * 1024) * 10_240
    large = START + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    answer = await answers(victim, large, HEALTH + b"Connection: close\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"413", b"200"]


@pytest.mark.parametrize("rubbish", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000])
async def test_rubbish_into_a_stream(victim: Server, api: Api, rubbish: bytes) -> None:
    """Who sends rubbish while a stream is open loses the stream; nothing else is written into it."""
    task_id = (await api.start(**LONG_TASK))["task_id"]
    reader, writer = await asyncio.open_connection("127.0.0.1", victim.port)
    writer.write(f"GET /task-progress/{task_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await reader.readuntil(b"\n\n\r\n")
    writer.write(rubbish)
    rest = b""
    try:
        async with asyncio.timeout(5):
            while data := await reader.read(65536):
                rest += data
    except ConnectionError:
        pass
    writer.close()
    assert b"HTTP/1.1" not in rest
    await api.cancel(task_id)


SLOW = {
    "nothing": b"",
    "half a head": HEALTH + b"X-Slow: ",
    "a body that nobody wants": HEALTH + b"Content-Length: 1000\r\n\r\nx",
    "half a second request": HEALTH + b"\r\n" + HEALTH,
}


@pytest.mark.alone
async def test_slow_loris(victim: Server, api: Api) -> None:
    """Two thousand connections that send next to nothing, byte by byte: others are served meanwhile.

    After ten seconds they are gone: with a 408 if they have begun to ask, without a word if they haven't.
    """
    await api.json("GET", "/health")
    before = victim.descriptors()
    ended: dict[str, list[bytes]] = {kind: [] for kind in SLOW}

    async def loris(kind: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", victim.port)
        writer.write(SLOW[kind])

        async def drip() -> None:
            while kind != "nothing":
                await asyncio.sleep(1)
                writer.write(b"x")

        dripping = asyncio.create_task(drip())
        try:
            ended[kind].append(await reader.read())
        except ConnectionError:
            ended[kind].append(b"")
        dripping.cancel()
        writer.close()

    async with asyncio.timeout(HEAD_SECONDS + 15):
        lorises = asyncio.gather(*(loris(kind) for kind in SLOW for _ in range(500)))
        served = 0
        while not lorises.done():
            await api.start(seconds=0)
            served += 1
            await asyncio.wait([lorises], timeout=0.1)
        await lorises
        assert served > 20
        while victim.descriptors() > before:
            await api.json("GET", "/health")
    assert set(ended["nothing"]) == {b""}
    assert {refusal(answer) for answer in ended["half a head"]} == {408}
    for kind in ("a body that nobody wants", "half a second request"):
        assert {status(answer) for answer in ended[kind]} == {200}
    assert {answer.count(b"HTTP/1.1 408 ") for answer in ended["half a second request"]} == {1}
