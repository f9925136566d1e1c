"""Servers and workers that share a Redis: any of them may die, and nobody is left in the dark."""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from redis import Redis

from taskstream.redis.queue import create_celery
from taskstream.redis.registry import CONNECTIONS
from tests.conftest import Start
from tests.support.api import ENDED, LONG_TASK, Api, Event, check_story, check_two_places, events
from tests.support.backends import Nginx, RedisServer, Worker, sharing_server
from tests.support.examples import children

pytestmark = pytest.mark.slow

LOST_SECONDS = 30


async def follow(api: Api, task_id: str) -> list[Event]:
    """All events of a task, whatever becomes of the connections."""
    seen: list[Event] = []
    while not seen or seen[-1].snapshot["status"] not in ENDED:
        try:
            async with api.open(f"/task-progress/{task_id}", seen[-1].id if seen else None) as response:
                async for event in events(response):
                    seen.append(event)  # noqa: PERF401 - what came before a cut counts
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            pass
    return seen


# Workers die


@pytest.mark.parametrize("whole_worker", [False, True], ids=["a process", "the whole worker"])
@pytest.mark.parametrize("work", ["simulated", "scraping"])
async def test_a_worker_that_is_killed(
    redis: RedisServer, two_servers: Api, start: Start, work: str, whole_worker: bool
) -> None:
    """What it ran has failed, once, for every viewer; what was queued is run by the next."""
    api = two_servers
    worker = start(Worker(redis.url, processes=1))
    running = (await api.start(work=work, **LONG_TASK))["task_id"]
    await api.until(running, "PROGRESS")
    queued = (await api.start(seconds=0.1))["task_id"]
    viewers = [asyncio.create_task(api.watch(running)) for _ in range(6)]
    overview = asyncio.create_task(api.overview(running, running))
    waiting = asyncio.create_task(api.watch(queued))
    await api.until(running, "PROGRESS")

    if whole_worker:
        worker.kill()
    else:
        os.kill(children(worker.process.pid)[0], signal.SIGKILL)
    async with asyncio.timeout(LOST_SECONDS):
        pictures = await asyncio.gather(*viewers)
    assert not waiting.done() or not whole_worker
    if whole_worker:
        start(Worker(redis.url, processes=1))
    check_story(await waiting, "SUCCESS")

    for picture in [*pictures, await api.watch(running)]:
        check_story(picture, "FAILURE")
        assert picture[-1].snapshot == pictures[0][-1].snapshot
    assert pictures[0][-1].snapshot["message"] == "worker lost"
    assert (await overview)[-1].snapshot == pictures[0][-1].snapshot
    assert (await api.json("GET", "/health"))["running"] == 0


async def test_a_worker_that_stands_still(redis: RedisServer, two_servers: Api, start: Start) -> None:
    """A worker that comes back too late adds nothing to what has ended without it, and is of use again."""
    api = two_servers
    worker = start(Worker(redis.url, processes=1))
    task_id = (await api.start(**LONG_TASK))["task_id"]
    await api.until(task_id, "PROGRESS")
    os.killpg(worker.process.pid, signal.SIGSTOP)
    async with asyncio.timeout(LOST_SECONDS):
        stream = await api.watch(task_id)
    assert stream[-1].snapshot["message"] == "worker lost"
    os.killpg(worker.process.pid, signal.SIGCONT)
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    check_story(await api.watch(task_id), "FAILURE")
    assert (await api.watch(task_id))[-1].id == stream[-1].id


# Starting


async def test_starts_at_two_servers(
    redis: RedisServer, start: Start, session: aiohttp.ClientSession
) -> None:
    """The same start, sent to both at the same moment and again, makes one task; they share the places."""
    api = Api(session, [start(sharing_server(redis.url, "--max-tasks", "2")).url for _ in range(2)])

    async def send(seconds: float, status: int = 200) -> Any:
        headers = {"Idempotency-Key": "album 7"}
        return await api.json("POST", "/start-task", status, json={"seconds": seconds}, headers=headers)

    starts = await asyncio.gather(*(send(0.1) for _ in range(20)))
    [task_id] = {snapshot["task_id"] for snapshot in starts}
    await send(0.2, 422)
    start(Worker(redis.url, processes=1))
    last = (await api.watch(task_id))[-1].snapshot
    assert await send(0.1) == last
    assert (await api.json("GET", "/health"))["tasks"] == 1
    await check_two_places(api)
    health = await api.json("GET", "/health")
    assert (health["backend"], health["tasks"], health["running"]) == ("redis", 2, 2)


async def test_a_worker_takes_what_it_can_begin(
    redis: RedisServer, api: Api, start: Start, own_client: Redis
) -> None:
    """The rest stays in the queue, for another worker."""
    start(Worker(redis.url, processes=2))
    tasks = [(await api.start(**LONG_TASK))["task_id"] for _ in range(2)]
    for task_id in tasks:
        await api.until(task_id, "PROGRESS")
    waiting = [(await api.start(seconds=0))["task_id"] for _ in range(3)]
    await api.until(tasks[0], "PROGRESS")
    assert own_client.llen("taskstream:queue") == 3
    start(Worker(redis.url, processes=1))
    for task_id in waiting:
        check_story(await api.watch(task_id), "SUCCESS")


# Output


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"work": "speech", "pieces": ["ab", "c\n", "d"], "times": 201}, 201 * "abc\nd"),
        ({"work": "speak_in_thread", "pieces": 500}, "".join(f"{number}\n" for number in range(500))),
    ],
    ids=["a generator", "a function"],
)
async def test_output(own_cluster: Api, body: dict[str, Any], said: str) -> None:
    """What work says in a worker arrives whole and in order, between its snapshots."""
    stream = await own_cluster.watch((await own_cluster.start(**body))["task_id"])
    assert [event.id for event in stream] == list(range(1, len(stream) + 1))
    assert "".join(event.snapshot["text"] for event in stream if event["event"] == "output") == said
    assert stream[-1].snapshot["status"] == "SUCCESS"


# Cancelling


@pytest.mark.parametrize("task", [{"seconds": 3600, "steps": 1}, {"work": "scraping", **LONG_TASK}])
async def test_cancel(redis: RedisServer, two_servers: Api, start: Start, task: dict[str, Any]) -> None:
    """It reaches work that waits, a function at its next report, and what is queued; others are run."""
    api = two_servers
    start(Worker(redis.url, processes=1))
    running = (await api.start(**task))["task_id"]
    await api.until(running, "STARTED")
    queued, last = [(await api.start(seconds=0))["task_id"] for _ in range(2)]
    assert (await api.cancel(queued))["status"] == "REVOKED"
    cancelled = await api.cancel(running)
    assert cancelled["status"] == "REVOKED"
    async with asyncio.timeout(10):
        check_story(await api.watch(last), "SUCCESS")
    assert (await api.watch(running))[-1].snapshot == cancelled
    assert [event.snapshot["status"] for event in await api.watch(queued)] == ["PENDING", "REVOKED"]


async def test_revoked_by_celery(redis: RedisServer, two_servers: Api, start: Start) -> None:
    """Celery knows a task by its id, and its own revoking, as by Flower, ends it like cancelling does."""
    api = two_servers
    start(Worker(redis.url, processes=1, flags=("--task-events",)))
    running = (await api.start(**LONG_TASK))["task_id"]
    await api.until(running, "PROGRESS")
    queued = (await api.start())["task_id"]
    control = create_celery(redis.url, "taskstream").control
    [[shown]] = (control.inspect().active() or {}).values()
    assert shown["id"] == running
    assert str(shown["args"]) == "('simulated', …)"  # parameters may be secret
    control.revoke(queued, reply=True)
    control.revoke(running, reply=True, terminate=True)
    async with asyncio.timeout(5):
        check_story(await api.watch(running), "REVOKED")
        assert [event.snapshot["status"] for event in await api.watch(queued)] == ["PENDING", "REVOKED"]


async def test_a_function_keeps_its_place_until_it_returns(own_cluster: Api) -> None:
    """A cancelled function that doesn't report has ended for its viewers, but not for the worker."""
    api = own_cluster
    deaf = (await api.start(work="sleep", seconds=3.0))["task_id"]
    await api.until(deaf, "PROGRESS")
    began = time.monotonic()
    await api.cancel(deaf)
    check_story(await api.watch(deaf), "REVOKED")
    assert time.monotonic() - began < 2
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    assert time.monotonic() - began > 2.5


# Work


async def test_own_work(own_cluster: Api) -> None:
    """Reports in a tight loop are merged, the last one arrives; details may be anything."""
    api = own_cluster
    hot = await api.watch((await api.start(work="hot_loop", reports=300_000))["task_id"])
    check_story(hot, "SUCCESS")
    assert hot[-1].snapshot["data"] == 300_000
    assert hot[-2].snapshot["message"] == "Report 300000"
    odd = await api.watch((await api.start(work="odd", day="2026-01-31"))["task_id"])
    assert odd[-2].snapshot["data"] == {"at": "2026-01-31T00:00:00Z", "nan": "NaN"}
    assert odd[-1].snapshot["data"] == ["2026-01-31"]
    counted = await api.watch((await api.start(work="bars"))["task_id"])
    assert (counted[-2].snapshot["progress"], counted[-2].snapshot["steps"]) == (
        25,
        [{"label": "Files", "done": 0, "total": 2}, {"label": "Rows", "done": 2, "total": 4}],
    )
    broken = await api.watch((await api.start(work="odd", day="2026-02-31"))["task_id"])
    check_story(broken, "FAILURE")
    assert broken[-1].snapshot["message"].startswith("Unexpected ValueError")


async def test_a_coroutine_that_never_awaits(own_cluster: Api, own_client: Redis) -> None:
    """Redis serves others meanwhile; viewers see what its log holds, and are told what it doesn't."""
    own_client.config_set("slowlog-log-slower-than", 50_000)
    stream = await own_cluster.watch((await own_cluster.start(work="rows", count=100_000))["task_id"])
    assert own_client.slowlog_len() == 0
    assert own_client.info("memory")["used_memory_peak"] < 20_000_000
    assert stream[-1].snapshot["status"] == "SUCCESS"
    assert stream[-2].snapshot["text"].endswith("100000\n")
    told: list[int] = []
    for event in stream:
        lost = event["event"] == "lost"
        told += range(event.snapshot["from"], event.snapshot["to"] + 1) if lost else [event.id]
    assert told == list(range(1, stream[-1].id + 1))


# Servers die


async def test_a_server_that_is_killed(
    redis: RedisServer, start: Start, session: aiohttp.ClientSession
) -> None:
    """Behind nginx, ten tasks watched through both of two servers outlive one of them."""
    servers = [start(sharing_server(redis.url)) for _ in range(2)]
    start(Worker(redis.url, processes=10))
    api = Api(session, [start(Nginx(*(each.url for each in servers))).url])
    tasks = [(await api.start(seconds=8, steps=80))["task_id"] for _ in range(10)]
    watching = [asyncio.create_task(follow(api, task_id)) for task_id in tasks for _ in range(4)]
    for task_id in tasks:
        await api.until(task_id, "PROGRESS")
    streams = [0]
    async with asyncio.timeout(10):
        while sum(streams) != 40:  # those that `until` has closed go a moment later
            healths = [await Api(session, [each.url]).json("GET", "/health") for each in servers]
            streams = [health["streams"] for health in healths]
    assert min(streams) > 0
    servers[0].process.kill()
    for picture in await asyncio.gather(*watching):
        check_story(picture, "SUCCESS")
        assert len(picture) == 83


async def test_connections_do_not_grow(api: Api, own_client: Redis) -> None:
    """A thousand tasks and two thousand viewers need no more connections than there are for requests."""
    async with AsyncExitStack() as stack:

        async def watch(path: str) -> None:
            response = await stack.enter_async_context(api.open(path))
            await anext(events(response))

        tasks = [(await api.start())["task_id"] for _ in range(1000)]
        paths = [f"/task-progress/{task_id}" for task_id in tasks for _ in range(2)]
        for some in range(0, len(paths), 100):
            await asyncio.gather(*(watch(path) for path in paths[some : some + 100]))
        health = await api.json("GET", "/health")
        assert (health["tasks"], health["streams"]) == (1000, 2000)
        ours, notifications = 1, 1
        assert len(own_client.client_list()) - ours <= CONNECTIONS + notifications


async def test_no_worker(redis: RedisServer, api: Api, start: Start) -> None:
    """Where no worker answers, `/health` says so, and what has waited for one; until there is one."""
    task_id = (await api.start(seconds=0))["task_id"]
    async with api.open(f"/task-progress/{task_id}") as response:
        story = events(response)
        seen = [(await anext(story)).snapshot for _ in range(2)]
        assert [each["status"] for each in seen] == ["PENDING", "PENDING"]
        assert seen[1]["message"] == "Waiting to start. No worker answers: is one running?"
        assert "No worker answers" in (await api.json("GET", "/health"))["warning"]
        start(Worker(redis.url, processes=1))
        rest = [event async for event in story]
        assert [event.id for event in rest] == [*range(3, 3 + len(rest))]
        assert rest[-1].snapshot["status"] == "SUCCESS"
    while "warning" in await api.json("GET", "/health"):
        pass
