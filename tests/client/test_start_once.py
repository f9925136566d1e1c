"""A task is started exactly once, whatever happens to the request and to its answer."""

import asyncio
import json
import re
from collections.abc import Iterator
from functools import partial

import aiohttp
import pytest
import requests

import client
import sse_client
from taskstream.client.protocol import Rejected, ServerError, Unreachable
from taskstream.client.retrying import Retrying
from tests.client.running import ALL, AsyncClient, Run, hasty
from tests.support.faults import (
    BAD_GATEWAY,
    BUSY,
    HTML,
    NO_CONTENT,
    Answer,
    Cut,
    CutRequest,
    End,
    Fault,
    FaultProxy,
    Raw,
    Reset,
)
from tests.support.programs import Server

FIELDS = {"name": "Zürich 🚄", "seconds": 0, "steps": 2}
KEY = re.compile(rb"(?i)\r\nIdempotency-Key: ([!-~]+)\r\n")


@pytest.fixture(scope="module")
def idempotent() -> Iterator[Server]:
    """A server that knows Idempotency-Key, and forgets no task meanwhile."""
    with Server("--max-tasks", "5000", "--retention-seconds", "3600") as server:
        yield server


async def tasks(server: Server, session: aiohttp.ClientSession) -> int:
    """How many tasks the server has."""
    async with session.get(f"{server.url}/health") as response:
        number: int = (await response.json())["tasks"]
        return number


LOST: list[tuple[Fault, ...]] = [
    *[(CutRequest(count),) for count in (1, 150, 10_000)],
    *[(Cut(count),) for count in (0, 1, 17, 150, 300)],
    (End(0),),
    (Reset(0),),
    (Reset(100),),
    (CutRequest(200), Cut(1), Reset(30)),
    (BAD_GATEWAY, CutRequest(10_000), Answer(503), Cut(150), Answer(504)),
]
"""Requests, answers, or both, that are lost at various bytes."""


@pytest.mark.parametrize("faults", LOST, ids=str)
async def test_once(
    idempotent: Server, session: aiohttp.ClientSession, either: AsyncClient, faults: tuple[Fault, ...]
) -> None:
    """What was lost is sent again, the same key and body, until there is an answer: it makes one task."""
    before = await tasks(idempotent, session)
    async with FaultProxy(idempotent.port, faults) as proxy:
        snapshot = await either.start(proxy.url, hasty(proxy.url), **FIELDS)
    assert snapshot["name"] == FIELDS["name"]
    assert await tasks(idempotent, session) == before + 1
    assert len(proxy.requests) == len(faults) + 1
    (body,) = {request.partition(b"\r\n\r\n")[2] for request in proxy.requests}
    assert json.loads(body) == FIELDS
    assert len({KEY.search(request)[1] for request in proxy.requests}) == 1  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Cut, CutRequest])
async def test_once_everywhere(
    idempotent: Server, session: aiohttp.ClientSession, either: AsyncClient, kind: type[Cut | CutRequest]
) -> None:
    """Cut at each and every byte of the request and of the answer, it makes one task."""
    before = await tasks(idempotent, session)
    for count in range(700):
        async with FaultProxy(idempotent.port, (kind(count),)) as proxy:
            await either.start(proxy.url, hasty(proxy.url), **FIELDS)
    assert await tasks(idempotent, session) == before + 700


async def test_a_key_each(server: Server, either: AsyncClient) -> None:
    """Two tasks that are meant have two keys, even if they are alike."""
    async with FaultProxy(server.port) as proxy:
        for _ in range(2):
            await either.start(proxy.url, hasty(proxy.url), **FIELDS)
    assert len({KEY.search(request)[1] for request in proxy.requests}) == 2  # type: ignore[index]


@pytest.mark.parametrize(
    ("answer", "error", "words", "is_final"),
    [
        (BUSY, Rejected, r"says no \(503\): All 2 streams are taken", False),
        (BAD_GATEWAY, Unreachable, r"Gave up after 1 s .*status 502", False),
        (Raw(b""), Unreachable, "Gave up after 1 s without a connection", False),
        *[(Answer(status), Rejected, str(status), True) for status in (401, 404, 422, 500)],
        *[(answer, Rejected, "isn't the task server", True) for answer in (HTML, NO_CONTENT)],
    ],
    ids=str,
)
async def test_no_task(
    either: AsyncClient, answer: Fault, error: type[ServerError], words: str, *, is_final: bool
) -> None:
    """What may pass is asked for again, until it has lasted too long; other refusals are not.

    So it is with a stream.
    """
    for ask in (either.start, partial(either.watch, task_id="x")):
        async with FaultProxy(always=answer) as proxy:
            with pytest.raises(error, match=words):
                await ask(url=proxy.url, retrying=hasty(proxy.url, 1))
        assert (len(proxy.requests) == 1) == is_final


async def test_retry_after(either: AsyncClient) -> None:
    """`Retry-After` is honoured, as far as patience goes."""
    waits: list[str] = []
    async with FaultProxy(always=Answer(503, ("Retry-After: 600",), '{"detail": "Full"}')) as proxy:
        retrying = Retrying(proxy.url, 1, waits.append)
        retrying.shortest_wait_seconds = 0.001
        with pytest.raises(Rejected, match="Full"):
            await either.start(proxy.url, retrying, **FIELDS)
    assert len(proxy.requests) == 2
    assert waits == ["Trying again (status 503) for up to 1 s"]


async def test_parameters_of_any_name(server: Server, session: aiohttp.ClientSession) -> None:
    """A work may have parameters of any name, those of `start_task` too."""
    with pytest.raises(Rejected, match="url: "):
        await client.start_task(session, server.url, url=1)
    with requests.Session() as plain, pytest.raises(Rejected, match="patience: "):
        sse_client.start_task(plain, server.url, patience=1, session=2)


@ALL
async def test_programs(run: Run, server: Server, client: str) -> None:
    """The programs say that they try again, and end as if nothing had happened."""
    async with FaultProxy(server.port, (Cut(40),)) as proxy:
        count = ("--count", "1") if client == "multiple_task.py" else ()
        program = run(client, "--url", proxy.url, "--seconds", "0", *count)
        assert await asyncio.to_thread(program.wait) == 0, program.output
    assert program.output.count("Trying again (the connection broke) for up to 30 s\n") == 1
