"""Every way to lose a connection: whatever is cut wherever, a viewer ends with the same picture."""

import asyncio
import json
import random
import re

import aiohttp
import pytest

from taskstream.client.protocol import Rejected
from tests.client.running import AsyncClient, Seen, hasty
from tests.support.api import Api
from tests.support.faults import (
    BAD_GATEWAY,
    BUSY,
    HTML,
    NO_CONTENT,
    Answer,
    Cut,
    End,
    Fault,
    FaultProxy,
    Reset,
    Split,
    Stall,
    record,
)
from tests.support.programs import Server

NAME = "Zürich → 東京 🚄"
PIECES = ["Zürich\r\n", "→ 東", "京 🚄\n\x1b[31m\n", "→ 東", "\x85\u2028\x0c\0id: 9"]
AT_ONCE = 16
"""Viewers at a time."""

WHEREVER = pytest.mark.parametrize("own_server", ["memory", "file"], indirect=True)
"""Also over tasks in a file, from which a log that is over is read again."""


class Recording:
    """A finished task: the bytes of its stream, and what every viewer of it has to see."""

    def __init__(self, port: int, task_id: str, answer: bytes) -> None:
        self.port = port
        self.task_id = task_id
        self.answer = answer
        data = [json.loads(data) for data in re.findall(rb"^data: (.*)$", answer, re.MULTILINE)]
        self.seen: Seen = [each.get("text", each) for each in data]


@pytest.fixture
async def recording(own_server: Server, session: aiohttp.ClientSession) -> Recording:
    api = Api(session, [own_server.url])
    task_id = (await api.start(work="speech", name=NAME, pieces=PIECES))["task_id"]
    await api.watch(task_id)
    recording = Recording(own_server.port, task_id, record(own_server.port, task_id))
    order = [each if isinstance(each, str) else each["progress"] for each in recording.seen]
    assert order == [0, 0, *PIECES[:2], 20, *PIECES[2:4], 60, PIECES[4], 100]
    return recording


async def try_all(recording: Recording, either: AsyncClient, faults: list[tuple[Fault, ...]]) -> None:
    """Watch once through each row of faults; say which of them show a wrong picture."""
    places = asyncio.Semaphore(AT_ONCE)
    wrong: list[str] = []

    async def try_one(row: tuple[Fault, ...]) -> None:
        async with places, FaultProxy(recording.port, row) as proxy:
            try:
                async with asyncio.timeout(20):
                    seen = await either.watch(proxy.url, recording.task_id, hasty(proxy.url))
            except Exception as error:  # noqa: BLE001 - it is told together with what brought it about
                wrong.append(f"{row}: {error!r}")
            else:
                if seen != recording.seen:
                    picture = [each if isinstance(each, str) else each["message"] for each in seen]
                    wrong.append(f"{row}: {picture}")

    await asyncio.gather(*(try_one(row) for row in faults))
    assert not wrong, "\n".join(["Paste one of them into FOUND to try it alone:", *wrong])


FOUND: list[tuple[Fault, ...]] = [
    (),
    (Cut(0),),
    (Cut(12), Reset(100)),
    (BUSY, BAD_GATEWAY, BUSY),
    (Cut(600), Answer(302, ("Location: {again}",)), Answer(307, ("Location: {again}",)), Cut(500)),
    (Cut(600), BUSY, Cut(0), BAD_GATEWAY, Reset(600)),
    (Cut(600), Answer(504, (), "<html>"), Cut()),
]
"""Faults to be tried one by one."""


@pytest.mark.parametrize("faults", FOUND, ids=str)
async def test_one(recording: Recording, either: AsyncClient, faults: tuple[Fault, ...]) -> None:
    """A viewer whose connections have these faults sees every event once."""
    await try_all(recording, either, [faults])


EVERYWHERE = [pytest.param(kind, True, marks=pytest.mark.slow) for kind in (Cut, Reset, End)]


@pytest.mark.parametrize(("kind", "everywhere"), [(Cut, False), (End, False), *EVERYWHERE])
async def test_cut_anywhere(
    recording: Recording, either: AsyncClient, kind: type[Cut], *, everywhere: bool
) -> None:
    """Cut at each byte of the answer, head and framing too: every event is seen, once, whole.

    Or at a sample of them, around the end of each line for one.
    """
    ends = {match.end() for match in re.finditer(rb"\r|\n", recording.answer)}
    sample = ends | {end - 1 for end in ends} | {*range(0, len(recording.answer), 7)}
    offsets = range(len(recording.answer) + 1) if everywhere else sorted(sample)
    await try_all(recording, either, [(kind(offset),) for offset in offsets])


def any_faults(draw: random.Random, answer_bytes: int) -> tuple[Fault, ...]:
    """Two cuts somewhere, and perhaps other trouble between them."""
    between: list[Fault] = [
        BUSY,
        BAD_GATEWAY,
        Reset(0),
        Split(tuple(draw.choices(range(answer_bytes), k=9))),
    ]
    first, second = (draw.choice((Cut, Reset, End))(draw.randrange(answer_bytes)) for _ in range(2))
    return first, *draw.choices(between, k=draw.randint(0, 2)), second


@WHEREVER
@pytest.mark.parametrize("draws", [100, pytest.param(1000, marks=pytest.mark.slow)])
async def test_cut_twice(recording: Recording, either: AsyncClient, draws: int) -> None:
    """Two cuts anywhere, with more trouble between them: every event is seen, once, whole."""
    faults = [any_faults(random.Random(seed), len(recording.answer)) for seed in range(draws)]
    await try_all(recording, either, faults)


async def test_split_anywhere(recording: Recording, either: AsyncClient) -> None:
    """Bytes that arrive one by one, or in two pieces that part anywhere: the events are the same."""
    offsets = range(len(recording.answer))
    pieces = [Split(tuple(offsets)), *(Split((offset,)) for offset in offsets[:: 1 + len(offsets) // 200])]
    await try_all(recording, either, [(split,) for split in pieces])


@WHEREVER
async def test_stall(recording: Recording, either: AsyncClient) -> None:
    """A viewer whose connection is silent for too long takes a new one, and carries on there."""
    async with FaultProxy(recording.port, (Stall(len(recording.answer) // 2),)) as proxy:
        assert await either.watch(proxy.url, recording.task_id, hasty(proxy.url)) == recording.seen
        assert proxy.stalled.is_set()
        assert re.search(rb"(?i)\r\nLast-Event-ID: [1-9]\r\n", proxy.requests[1])


async def test_sent_again(recording: Recording, either: AsyncClient) -> None:
    """What a server sends again, because it doesn't know Last-Event-ID, is not shown again."""
    faults = (Cut(len(recording.answer) // 2), Cut(len(recording.answer) * 2 // 3))
    async with FaultProxy(recording.port, faults, forgetful=True) as proxy:
        assert await either.watch(proxy.url, recording.task_id, hasty(proxy.url)) == recording.seen
        assert len(proxy.requests) == 3


@pytest.mark.parametrize("answer", [HTML, NO_CONTENT, Answer(401), Answer(404), Answer(500)], ids=str)
async def test_refusals(recording: Recording, either: AsyncClient, answer: Fault) -> None:
    """An answer that another try would not change ends the watching at once, after a cut too."""
    async with FaultProxy(recording.port, (Cut(600), answer)) as proxy:
        with pytest.raises(Rejected):
            await either.watch(proxy.url, recording.task_id, hasty(proxy.url))
        assert len(proxy.requests) == 2
