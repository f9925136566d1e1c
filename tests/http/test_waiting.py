"""`?wait=`, for proxies that hand over finished responses only; `?last_event_id=`, for polyfills."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.api import LONG_TASK, Api, check_story, events
from tests.support.programs import Server

STREAMS = ["/task-progress/{}", "/tasks/{}/stream"]


@pytest.fixture
async def silent(api: Api) -> AsyncIterator[str]:
    """A task that has said two things, and says nothing more until it is cancelled."""
    task_id = (await api.start(seconds=60, steps=1))["task_id"]
    await api.until(task_id, "STARTED")
    yield task_id
    await api.cancel(task_id)


async def poll(api: Api, path: str, last_event_id: int = 0) -> tuple[list[int], float]:
    """The ids in a whole response, and the seconds that it took."""
    began = time.monotonic()
    async with api.open(path, last_event_id or None) as response:
        seen = [event.id async for event in events(response)]
    return seen, time.monotonic() - began


async def until_one_is_open(api: Api) -> None:
    """Return when a response that waits has taken a stream's place."""
    while (await api.json("GET", "/health"))["streams"] == 0:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("path", STREAMS)
async def test_what_is_there_comes_at_once(api: Api, path: str) -> None:
    """All that follows, in a finished response, though the task runs."""
    task_id = (await api.start(**LONG_TASK))["task_id"]
    await api.until(task_id, "PROGRESS")
    for wait in (0, 30):
        seen, seconds = await poll(api, path.format(task_id) + f"?wait={wait}", 1)
        assert seen == list(range(2, 2 + len(seen)))
        assert seen
        assert seconds < 3
    await api.cancel(task_id)


async def test_nothing_comes(api: Api, silent: str) -> None:
    """The response ends in time, with a 200 and no event; at once, if it isn't to wait."""
    for wait in (0, 1):
        seen, seconds = await poll(api, f"/task-progress/{silent}?wait={wait}", 2)
        assert seen == []
        assert wait <= seconds < wait + 3


async def test_the_first_event_ends_it(api: Api, silent: str) -> None:
    """With those that come along within a tenth of a second: here, the end of a cancelled task."""
    polling = asyncio.create_task(poll(api, f"/task-progress/{silent}?wait=30", 2))
    async with asyncio.timeout(10):
        await until_one_is_open(api)
        await api.cancel(silent)
        assert (await polling)[0] == [3]


async def test_a_whole_story_in_polls(api: Api) -> None:
    """The same events as in a stream, the same ids, the same 204 at the end, a retry in each answer."""
    task_id = (await api.start(seconds=1, steps=10))["task_id"]
    story, last = [], 0
    while True:
        async with api.open(f"/task-progress/{task_id}?wait=10", last or None) as response:
            if response.status == 204:
                break
            assert response.headers["Cache-Control"] == "no-store, no-transform"
            answer = [event async for event in events(response)]
        assert [bool(event["retry"]) for event in answer] == [True] + [False] * (len(answer) - 1)
        story += answer
        last = story[-1].id
    check_story(story, "SUCCESS")


async def test_many_tasks_at_once(api: Api) -> None:
    """The stream of many tasks answers at once with all latest snapshots, whatever `wait` says."""
    ids = [(await api.start(**LONG_TASK))["task_id"] for _ in range(3)]
    query = "&".join(f"task_id={each}" for each in ids)
    for wait in (0, 30):
        async with asyncio.timeout(5), api.open(f"/task-progress?{query}&wait={wait}") as response:
            answer = [event async for event in events(response)]
        assert [event.snapshot["task_id"] for event in answer] == ids
        assert [event["id"] for event in answer] == [None] * 3
    for each in ids:
        await api.cancel(each)


@pytest.mark.parametrize("wait", ["", "-1", "31", "1.5", "x", "1e1", "٣", "9" * 400])
async def test_a_bad_wait(api: Api, wait: str) -> None:
    """It is refused, on every stream, before anything else is found out."""
    task_id = (await api.start(seconds=0))["task_id"]
    for path in (*(each.format(task_id) for each in STREAMS), f"/task-progress?task_id={task_id}"):
        joined = f"{path}{'&' if '?' in path else '?'}wait={wait}"
        answer = await api.json("GET", joined, 422)
        assert answer["detail"][0]["loc"] == ["query", "wait"]


async def test_the_server_stops(session: aiohttp.ClientSession) -> None:
    """A response that waits is over when the server stops."""
    with Server() as server:
        api = Api(session, [server.url])
        task_id = (await api.start(seconds=60, steps=1))["task_id"]
        await api.until(task_id, "STARTED")
        polling = asyncio.create_task(poll(api, f"/task-progress/{task_id}?wait=30", 2))
        await until_one_is_open(api)
        assert server.stop(signal.SIGINT) == 0
        seen, seconds = await polling
        assert seen in ([], [3])
        assert seconds < 10


@pytest.mark.parametrize("name", ["last_event_id", "lastEventId", "Last-Event-ID"])
async def test_last_event_id_in_the_query(api: Api, name: str) -> None:
    """Polyfills put it there; it counts where the header is absent, at the end too."""
    task_id = (await api.start(seconds=0, steps=2))["task_id"]
    everything = [event.id for event in await api.watch(task_id)]
    for path in (each.format(task_id) for each in STREAMS):
        async with api.open(f"{path}?{name}=2") as response:
            assert [event.id async for event in events(response)] == everything[2:]
        async with api.open(f"{path}?{name}=2", last_event_id=3) as response:
            assert [event.id async for event in events(response)] == everything[3:]
        async with api.open(f"{path}?{name}={everything[-1]}") as response:
            assert response.status == 204
        async with api.open(f"{path}?{name}=nonsense") as response:
            assert [event.id async for event in events(response)] == everything
    for value, status in (("end", 204), ("other", 200)):
        async with api.open(f"/task-progress?task_id={task_id}&{name}={value}") as response:
            assert response.status == status


async def test_nothing_to_replay_begins_with_a_comment(api: Api, silent: str) -> None:
    """The first byte of a body comes at once: who has none after a while knows that somebody holds it."""
    async with asyncio.timeout(5), api.open(f"/task-progress/{silent}", last_event_id=2) as response:
        assert await response.content.readuntil(b"\n\n") == b": ping\n\n"
