"""Streams behind a proxy that hands over finished answers only: the clients ask for those instead."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import requests

from taskstream.client import retrying as rules
from taskstream.client.retrying import Retrying
from tests.client.running import ONE, AsyncClient, Run, start_task, status_of
from tests.support.faults import Cut, FaultProxy, Hold
from tests.support.programs import Server

POLLING, STREAMING = "No byte for 5 s, as if a proxy held the stream back: polling", "Streaming again"


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[FaultProxy]:
    """A proxy that holds back every stream."""
    async with FaultProxy(server.port, always=Hold(), of_streams=True) as proxy:
        yield proxy


def queries(proxy: FaultProxy) -> list[str]:
    """What each stream was asked for with."""
    return [request.split()[1].decode().partition("?")[2] for request in proxy.requests]


async def progress(either: AsyncClient, server: Server, url: str, told: list[str]) -> list[int]:
    """What one of the clients shows of a task of three steps, 0.6 s each; and what is told meanwhile."""
    seen = await either.watch(url, start_task(server, seconds=1.8, steps=3), Retrying(url, 10, told.append))
    return [each["progress"] for each in seen if not isinstance(each, str)]


@pytest.mark.slow
@ONE
async def test_output_arrives(run: Run, own_server: Server, client: str) -> None:
    """Every event is shown, in order, while the task runs, and the end at most a few seconds late."""
    async with FaultProxy(own_server.port, always=Hold(), of_streams=True) as proxy:
        flags = ("--param", 'pieces=["a\\n", "b\\n"]', "--param", "seconds=0.5", "--param", "times=12")
        program = run(client, "--url", proxy.url, "--work", "speech", *flags, "--patience", "9")
        task_id = (await asyncio.to_thread(program.wait_for, r"#([0-9a-f]{32})"))[1]
        await asyncio.to_thread(program.wait_for, "Piece 5")
        assert status_of(own_server, task_id) == "PROGRESS"
        await asyncio.to_thread(requests.get, f"{own_server.url}/task-progress/{task_id}", timeout=20)
        assert await asyncio.to_thread(program.wait, 5) == 0, program.output
    assert [line for line in program.lines if len(line) == 2] == ["a\n", "b\n"] * 12
    pieces = [line.split()[-1] for line in program.lines if " Piece " in line]
    assert pieces == [str(number) for number in range(1, 24, 2)]
    assert [line for line in program.lines if "olling" in line or "onnect" in line] == [f"{POLLING}\n"]


@pytest.mark.alone
async def test_back_to_a_stream(
    server: Server, proxy: FaultProxy, either: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream is tried again now and then; when one gets through, that is told."""
    monkeypatch.setattr(rules, "FIRST_BYTE_SECONDS", 0.2)
    monkeypatch.setattr(rules, "STREAM_AGAIN_SECONDS", 0)
    proxy.faults, proxy.always = (Hold(), Hold()), Cut()
    told: list[str] = []
    assert await progress(either, server, proxy.url, told) == [0, 0, 33, 67, 99, 100]
    assert told == [POLLING.replace("5", "0.2"), STREAMING]
    assert queries(proxy)[:3] == ["", "", ""]


@pytest.mark.alone
async def test_held_for_ever(
    server: Server, proxy: FaultProxy, either: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind such a proxy it is asked again and again, with the last id, and not too often."""
    monkeypatch.setattr(rules, "FIRST_BYTE_SECONDS", 0.2)
    told: list[str] = []
    assert await progress(either, server, proxy.url, told) == [0, 0, 33, 67, 99, 100]
    assert told == [POLLING.replace("5", "0.2")]
    first, *others = queries(proxy)
    assert first == ""
    assert {*others} <= {"wait=6", "wait=7"}
    assert 1 <= len(others) <= 4


@pytest.mark.alone
async def test_a_slow_stream(server: Server, either: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has begun may take its time, and nothing is told of it."""
    monkeypatch.setattr(rules, "FIRST_BYTE_SECONDS", 0.5)
    told: list[str] = []
    assert await progress(either, server, server.url, told) == [0, 0, 33, 67, 99, 100]
    assert told == []
